//! The documentation against the program: its commands run, its links lead somewhere, and what it says
//! of the program's output is what the program prints.
//!
//! `BINFMTD_BLESS=1` writes the generated parts anew.

#[path = "../support/mod.rs"]
mod support;

mod book;
mod commands;
mod examples;
mod facts;
mod generated;
mod json;
mod links;
mod manual;
mod markdown;
mod private;
mod schema;
mod service;
mod symptoms;
