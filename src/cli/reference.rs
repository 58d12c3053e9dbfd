//! The reference in `docs/commands.md`, made from the grammar and compared with what is there.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

/// Where the made part of the document begins.
const BEGIN: &str = "<!-- From here on made from `--help`: WEIR_UPDATE_DOCS=1 cargo test reference -->\n";

/// Headings of flags that many commands share: told once, in the document's own words.
const SHARED: [&str; 2] = ["Global options", "Connection"];

fn reference() -> String {
    let mut text = String::from(BEGIN);
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands() {
        describe(command, &mut text);
    }
    text
}

fn describe(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n### `{name}`\n\n{about}.\n");
    let own = |arg: &&Arg| {
        let shared = arg.get_help_heading().is_some_and(|heading| SHARED.contains(&heading));
        !shared && !arg.is_hide_set() && arg.get_id() != "help"
    };
    let arguments: Vec<_> = command.get_positionals().filter(own).chain(command.get_opts().filter(own)).collect();
    let switches =
        command.get_arguments().filter(own).filter(|arg| !arguments.iter().any(|it| it.get_id() == arg.get_id()));
    let lines: Vec<_> = arguments.iter().copied().chain(switches).map(line).collect();
    if !lines.is_empty() {
        let _ = write!(text, "\n{}", lines.concat());
    }
    for nested in command.get_subcommands().filter(|nested| nested.get_name() != "help") {
        describe(nested, text);
    }
}

/// One flag or argument.
fn line(arg: &Arg) -> String {
    let takes = arg.get_action().takes_values();
    let values: Vec<_> = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let mut names: Vec<_> = arg.get_short().map(|short| format!("-{short}")).into_iter().collect();
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    let mut shown = names.join(", ");
    if takes {
        let values = values.join(" ");
        shown = if names.is_empty() { values } else { format!("{shown} {values}") };
    }
    if many {
        shown.push('…');
    }
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        let _ = write!(help, " [{}]", defaults.join(", "));
    }
    format!("- `{shown}`: {help}\n")
}

#[test]
fn reference_in_the_docs_is_that_of_the_grammar() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
    let text = std::fs::read_to_string(path).expect("docs/commands.md");
    let (written, found) = text.split_at(text.find(BEGIN).unwrap_or(text.len()));
    let wanted = reference();
    if std::env::var_os("WEIR_UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{written}{wanted}")).expect("written");
    } else {
        let differs = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
        assert!(
            found == wanted,
            "docs/commands.md is not up to date, first at {differs:?}; WEIR_UPDATE_DOCS=1 writes it"
        );
    }
    for command in Cli::command().get_subcommands() {
        let name = format!("`{}`", command.get_name());
        let told = written.contains(&format!("`weir {}", command.get_name())) || written.contains(&name);
        assert!(told, "docs/commands.md does not mention {name}");
    }
}
