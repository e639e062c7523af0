//! The page about the command line.

use std::fmt::Write;

use clap::{Arg, Command};

use super::page::{NOTE, escaped};

/// The page: every command that `warrantd --help` shows, with its own.
pub(super) fn render(head: &str, mut program: Command) -> String {
    program = program.disable_help_subcommand(true);
    program.build();
    let mut page = format!("{NOTE}{}\n", head.trim_end());
    for command in shown(&program) {
        describe(&mut page, command, "##");
    }
    page
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn describe(page: &mut String, command: &Command, level: &str) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(
        page,
        "\n{level} {name}\n\n{}",
        escaped(&about.map(ToString::to_string).unwrap_or_default())
    );
    let mut command = command.clone().term_width(0);
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let _ = writeln!(page, "\n```text\n{}\n```", usage.trim_end());
    let arguments: Vec<_> = command.get_arguments().filter(|arg| is_shown(arg)).collect();
    if !arguments.is_empty() {
        page.push('\n');
        for argument in arguments {
            item(page, argument);
        }
    }
    if let Some(after) = command.get_after_help().map(ToString::to_string) {
        examples(page, &after);
    }
    for inner in shown(&command) {
        describe(page, inner, "###");
    }
}

/// `--help` is everywhere.
fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

fn item(page: &mut String, argument: &Arg) {
    let names: Vec<_> =
        argument.get_value_names().into_iter().flatten().map(ToString::to_string).collect();
    let takes = argument.get_action().takes_values();
    let value = if takes { names.join(" ") } else { String::new() };
    let short = argument.get_short().map(|letter| format!("-{letter}"));
    let long = argument.get_long().map(|word| format!("--{word}"));
    let flag = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let shown = if flag.is_empty() { value } else { format!("{flag} {value}") };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    let _ = write!(page, "- `{}`: {}", shown.trim(), escaped(&help.unwrap_or_default()));
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        let _ = write!(page, " [default: `{}`]", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(page, " [environment: `{}`]", variable.to_string_lossy());
    }
    page.push('\n');
    let values = argument.get_possible_values();
    for value in values.iter().filter(|value| takes && !value.is_hide_set()) {
        let help = value.get_help().map(|help| format!(": {}", escaped(&help.to_string())));
        let _ = writeln!(page, "  - `{}`{}", value.get_name(), help.unwrap_or_default());
    }
}

/// What stands under `Example:`.
fn examples(page: &mut String, after: &str) {
    let (word, text) = after.split_once('\n').unwrap_or(("Example:", after));
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let _ = writeln!(page, "\n{word}\n\n```sh\n{}\n```", lines.join("\n"));
}
