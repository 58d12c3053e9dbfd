//! `weir config`: the configuration in force, as a file that would produce it.

use std::fmt::Write;

use serde_json::Value;

use super::{Invocation, output};
use crate::config::{KEYS, Layers};
use crate::failure::Outcome;

#[derive(Debug, clap::Args)]
pub(super) struct Command {}

impl Command {
    pub(super) fn run(&self, invocation: &Invocation) -> Outcome {
        let layers = invocation.layers()?;
        // Shown only if it would also be accepted.
        layers.settings()?;
        output::print(&render(&layers))
    }
}

/// YAML with a comment for each key: what it is for and where its value comes from.
fn render(layers: &Layers) -> String {
    let (mut text, mut section) = (String::new(), "");
    for key in KEYS {
        let Some((value, origin)) = layers.get(key) else { continue };
        let (parent, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if parent != section {
            section = parent;
            let _ = writeln!(text, "{section}:");
        }
        let indent = if parent.is_empty() { "" } else { "  " };
        let value = match value {
            Value::Null => String::new(),
            _ if key.secret => " '***'".to_owned(),
            // JSON is YAML; plain texts look better without quotes.
            Value::String(plain) if is_plain(plain) => format!(" {plain}"),
            value => format!(" {value}"),
        };
        let _ = writeln!(text, "{indent}# {}\n{indent}{name}:{value}  # {origin}", key.help);
    }
    text
}

/// Whether YAML reads `text` as just this text.
fn is_plain(text: &str) -> bool {
    !text.contains(" #") && serde_yaml_ng::from_str::<Value>(text).is_ok_and(|value| value == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn output_is_a_configuration_file_with_origins_and_without_secrets() {
        let vars = [("HOME", "/home/me"), ("WEIR_STORE", "postgres://u:hunter2@h/d"), ("WEIR_LISTEN", "[::1]:0")];
        let vars: Environment = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let layers = Layers::merge(None, &vars, vec![]).expect("layers");
        let text = render(&layers);
        assert!(
            text.contains("\ndataDir: /home/me/.local/share/weir  # default\n") || text.starts_with("# "),
            "{text}"
        );
        assert!(text.contains("listen: \"[::1]:0\"  # environment WEIR_LISTEN\n"), "{text}");
        assert!(text.contains("store: '***'  # environment WEIR_STORE\n"), "{text}");
        assert!(text.contains("log:\n  # "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &text).expect("written");
        Layers::merge(Some(file.path()), &Environment::new(), vec![])
            .and_then(|layers| layers.settings())
            .expect(&text);
    }
}
