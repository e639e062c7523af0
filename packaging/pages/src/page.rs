//! One manual page, section by section (`man-pages(7)`, `groff_man(7)`).

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;

/// What every command keeps to.
const EXIT_STATUS: [(u8, &str); 4] = [
    (0, "Done."),
    (1, "Something was found, or could not be done."),
    (2, "The command line does not fit together."),
    (78, "The configuration cannot be used."),
];
/// Where more is said.
const DOCUMENTS: &str = "/usr/share/doc/warrantd";

/// Writes the page of a command that was built.
pub(crate) fn write(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let man = Man::new(command.clone()).manual("warrantd");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(out)?;
    }
    examples(command, out)?;
    writeln!(out, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in EXIT_STATUS {
        writeln!(out, ".TP\n{code}\n{meaning}")?;
    }
    see_also(command, out)
}

/// What stands below the options in `--help`: examples, and remarks.
fn examples(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for part in text.split("\n\n").filter(|part| !part.trim().is_empty()) {
        match part.split_once('\n') {
            Some(("Example:" | "Examples:", lines)) => {
                writeln!(out, ".SH EXAMPLES\n.nf\n{}\n.fi", plain(lines))?;
            }
            _ => writeln!(out, ".SH NOTES\n{}", plain(part))?,
        }
    }
    Ok(())
}

fn see_also(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, ".SH \"SEE ALSO\"")?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    if let Some((above, _)) = name.rsplit_once('-') {
        writeln!(out, ".BR {} (1),", above.replace('-', "\\-"))?;
    }
    writeln!(out, "{}", plain(DOCUMENTS))
}

/// Text that stays what it is: nothing in it is a request or an escape.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let lines = text.lines().map(|line| match line.chars().next() {
        Some('.') => format!("\\&{line}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(command: &Command) -> String {
        let mut out = Vec::new();
        write(command, &mut out).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn examples_stay_what_they_are() {
        let help = "Examples:\n  a --b 'c' \\\n.d\n\nExit code 1: nothing.";
        let page = page(&Command::new("x").about("X").after_help(help));
        let wanted = ".SH EXAMPLES\n.nf\n  a \\-\\-b \\(aqc\\(aq \\e\n\\&.d\n.fi\n.SH NOTES\nExit code 1: nothing.\n";
        assert!(page.contains(wanted), "{page}");
    }

    #[test]
    fn every_command_has_a_page_with_an_example_or_is_a_family() {
        let mut command = warrantd::cli::command().disable_help_subcommand(true);
        command.build();
        let mut commands: Vec<&Command> = command.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            if command.is_hide_set() {
                continue;
            }
            let page = page(command);
            let name = command.get_display_name().unwrap_or_default();
            assert!(command.get_about().is_some(), "{name} does not say what it does");
            let family = command.get_subcommands().next().is_some();
            assert!(family || page.contains(".SH EXAMPLES"), "{name} has no example: {page}");
            commands.extend(command.get_subcommands());
        }
    }
}
