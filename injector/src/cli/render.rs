//! `sidecar-injector render`: what the templates print for a pod, and where it stops being YAML.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use apimachinery::yaml;
use clap::Args;

use super::{SettingsFlags, input};

/// The flags of `render`.
#[derive(Args, Debug)]
pub(super) struct Render {
    /// Pods or workloads (YAML or JSON, any number of documents), or - for stdin
    #[arg(short, long = "filename", value_name = "FILE")]
    filename: PathBuf,
    /// The namespace that the pods are created in; default: the one in the file, else `default`
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only the text, without line numbers and headings
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    settings: SettingsFlags,
}

impl Render {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let injector = self.settings.injector()?;
        let mut out = String::new();
        let mut failed = false;
        for pod in input::pods(&self.filename, self.namespace.as_deref())? {
            let examined = injector.examine(&pod.pod, &pod.namespace, "/inject");
            for printed in &examined.printed {
                if self.plain {
                    out.push_str(&printed.text);
                    out.push('\n');
                } else {
                    // Writing to a String cannot fail.
                    let _ = writeln!(out, "# {}, template {}", pod.name, printed.template);
                    numbered(&mut out, &printed.text);
                }
            }
            if !examined.decision.inject {
                input::warn(&format!("{}: {}", pod.name, examined.decision.summary()));
            }
            if let Err(error) = examined.result {
                input::warn(&format!("{}: {}", pod.name, error.in_full()));
                failed = true;
            }
        }
        input::print(&out)?;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The text with line numbers; the line where it is no YAML is marked and explained.
fn numbered(out: &mut String, text: &str) {
    let broken = yaml::parse(text).err();
    let lines = text.lines().count();
    let width = lines.max(1).to_string().len();
    for (number, line) in (1..).zip(text.lines()) {
        let here = broken.as_ref().filter(|error| error.line == number || number == lines && error.line > lines);
        let mark = if here.is_some() { '>' } else { ' ' };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{mark}{number:width$} | {line}");
        if let Some(error) = here {
            let _ = writeln!(out, " {:width$} | {:>2$} {error}", "", "^", error.column.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn the_line_that_is_no_yaml_is_marked() {
        let mut out = String::new();
        numbered(&mut out, "a: 1\nb: [\nc: }\n");
        assert!(out.starts_with(" 1 | a: 1\n"), "{out}");
        assert_eq!(out.lines().filter(|l| l.starts_with('>')).count(), 1, "{out}");
    }
}
