//! The configuration: fragments → merged → validated settings; only the last leave this module.
