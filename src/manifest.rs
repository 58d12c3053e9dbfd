//! Manifests as people write them: files, directories or standard input; YAML and JSON, many documents each.
//!
//! Everything is read and understood before anything is used. What is wrong is a [`Problem`] with file, line and field
//! path, also when it was the API that found it: [`Document::blame`] finds the line of the field it names.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::failure::{Exit, Failure, OrFail, Outcome};

mod locate;
mod verdict;

/// One object of a manifest, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    file: Arc<File>,
    /// Which document of the file, from 0.
    index: usize,
    /// Path inside the document, for the items of a `List`.
    prefix: String,
    /// The object.
    pub(crate) value: Value,
}

#[derive(Debug)]
struct File {
    name: String,
    text: String,
    json: bool,
}

/// Something wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    file: String,
    line: usize,
    path: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All that is wrong, as one failure.
pub(crate) fn refuse(problems: &[Problem]) -> Failure {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    Failure::text(Exit::Usage, lines.join("\n")).next("nothing was applied")
}

/// Reads every document of `paths`: files, directories (their `.yaml`, `.yml` and `.json` files by name, not deeper),
/// `-` for standard input. Namespaces come first, the rest in the order written.
pub(crate) fn load(paths: &[PathBuf]) -> Outcome<Vec<Document>> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .or_fail(Exit::Usage, || "cannot read standard input".to_owned())?;
            parse("standard input".to_owned(), text, &mut documents, &mut problems);
            continue;
        }
        for file in files(path)? {
            let text =
                std::fs::read_to_string(&file).or_fail(Exit::Usage, || format!("cannot read {}", file.display()))?;
            parse(file.display().to_string(), text, &mut documents, &mut problems);
        }
    }
    if !problems.is_empty() {
        return Err(refuse(&problems));
    }
    documents.sort_by_key(|document| document.kind() != "Namespace");
    Ok(documents)
}

/// Reads the documents of a text called `name`.
pub(crate) fn read(name: &str, text: String) -> Outcome<Vec<Document>> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    parse(name.to_owned(), text, &mut documents, &mut problems);
    if problems.is_empty() { Ok(documents) } else { Err(refuse(&problems)) }
}

fn files(path: &Path) -> Outcome<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", path.display());
    if !std::fs::metadata(path).or_fail(Exit::NotFound, failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).or_fail(Exit::Usage, failed)? {
        let file = entry.or_fail(Exit::Usage, failed)?.path();
        let manifest =
            file.extension().is_some_and(|extension| ["yaml", "yml", "json"].map(AsRef::as_ref).contains(&extension));
        if manifest && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the documents of one file. Stops at the first syntax error: what follows one means nothing.
fn parse(name: String, text: String, documents: &mut Vec<Document>, problems: &mut Vec<Problem>) {
    let json = name.ends_with(".json") || text.trim_start().starts_with('{');
    let file = Arc::new(File { name, text, json });
    let mut add = |index, value: Value| {
        let items = match &value {
            Value::Null => return,
            Value::Object(object) if object.get("kind").is_some_and(|kind| kind == "List") => object.get("items"),
            _ => None,
        };
        let single = || (String::new(), value.clone());
        let objects = match items.and_then(Value::as_array) {
            Some(items) => items.iter().enumerate().map(|(at, item)| (format!("items[{at}]"), item.clone())).collect(),
            None => vec![single()],
        };
        for (prefix, value) in objects {
            let document = Document { file: Arc::clone(&file), index, prefix, value };
            let wrong = document.check();
            if wrong.is_empty() {
                documents.push(document);
            }
            problems.extend(wrong);
        }
    };
    if let Err((line, message)) = file.each(&mut add) {
        problems.push(Problem { file: file.name.clone(), line, path: String::new(), message });
    }
}

impl File {
    /// Calls `add` with each document; `Err` with line and message at a syntax error.
    fn each(&self, add: &mut impl FnMut(usize, Value)) -> Result<(), (usize, String)> {
        if self.json {
            for (index, value) in serde_json::Deserializer::from_str(&self.text).into_iter().enumerate() {
                add(index, value.map_err(|error| (error.line(), format!("not valid JSON: {error}")))?);
            }
            return Ok(());
        }
        for (index, document) in serde_yaml_ng::Deserializer::from_str(&self.text).enumerate() {
            // By way of YAML's own values, which refuse a key that is there twice.
            let value = serde_yaml_ng::Value::deserialize(document).map_err(|error| {
                let line = error.location().map_or(1, |location| location.line());
                (line, format!("not valid YAML: {error}"))
            })?;
            let value = serde_json::to_value(value).map_err(|error| (1, format!("not an object: {error}")))?;
            add(index, value);
        }
        Ok(())
    }

    /// The line of `path` in document `index`; `None` if there is no such path.
    fn line(&self, index: usize, path: &str) -> Option<usize> {
        if self.json {
            let mut documents = serde_json::Deserializer::from_str(&self.text);
            for _ in 0..index {
                IgnoredAny::deserialize(&mut documents).ok()?;
            }
            return locate::find(&mut documents, path).err().map(|error| error.line());
        }
        let document = serde_yaml_ng::Deserializer::from_str(&self.text).nth(index)?;
        locate::find(document, path).err()?.location().map(|location| location.line())
    }
}

impl Document {
    /// `apiVersion`
    pub(crate) fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// `kind`
    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`
    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.value.pointer("/metadata/namespace").and_then(Value::as_str)
    }

    fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// What is wrong with how it names itself.
    fn check(&self) -> Vec<Problem> {
        if !self.value.is_object() {
            return vec![self.problem("", "not an object: expected apiVersion, kind, metadata")];
        }
        let names = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")];
        let wrong = names.into_iter().filter_map(|(pointer, path)| match self.value.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => None,
            Some(Value::Null) | None => Some(self.problem(path, "missing")),
            Some(other) => Some(self.problem(path, format!("expected a text, found {other}"))),
        });
        wrong.collect()
    }

    /// A problem with the field at `path` of this object, or with what is nearest to it.
    pub(crate) fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let mut whole = match (self.prefix.as_str(), path) {
            (prefix, "") => prefix.to_owned(),
            ("", path) => path.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        let line = loop {
            match self.file.line(self.index, &whole) {
                Some(line) => break line,
                None if whole.is_empty() => break 1,
                None => whole.truncate(whole.rfind(['.', '[']).unwrap_or(0)),
            }
        };
        Problem { file: self.file.name.clone(), line, path: path.to_owned(), message: message.into() }
    }
}

#[cfg(test)]
mod tests;
