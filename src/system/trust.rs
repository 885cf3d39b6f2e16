//! Whether a file, and every folder above it, can be changed by nobody but root.
