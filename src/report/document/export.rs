//! The document of `export`.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportDocument {
    /// Whether every target could be exported.
    pub ok: bool,
    pub files: Vec<FileDocument>,
    /// What the format cannot say, or what has no interpreter.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileDocument {
    /// Its name, without a folder.
    pub name: String,
    pub content: String,
}
