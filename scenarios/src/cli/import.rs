//! `towtank import`.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use admission::capture::{Compression, Reader, Record, Redactor, Writer};
use anyhow::Context;
use apimachinery::value::json;
use indicatif::ProgressBar;
use injector::capture::RedactionFlags;

use super::output::Output;
use crate::import::{Format, Imported, import, manifests};

#[derive(Debug, clap::Args)]
#[group(id = "import", multiple = true)]
pub(super) struct Args {
    /// Files, or directories of them; `-` is standard input. Plain, .gz or .zst.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the log goes, compressed as its name says. Default: standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What the files hold. Default: told from their content.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only the calls of this webhook (audit logs).
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
    #[command(flatten)]
    redaction: RedactionFlags,
}

impl Args {
    /// Writes the log; false if something could not be read.
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let redactor = self.redaction.redactor()?;
        let inputs = self.inputs()?;
        let mut imported = Imported::default();
        let shown = self.output.is_none() && std::io::stdout().is_terminal();
        let bar = if shown { ProgressBar::hidden() } else { output.progress(0, "reviews") };
        let done = self.write(inputs, &mut imported, redactor.as_ref(), &bar);
        bar.finish_and_clear();
        if let Err(error) = done {
            // Whoever read it from standard output has what they wanted.
            let quiet = self.output.is_none() && broken_pipe(&error);
            return if quiet { Ok(imported.unreadable == 0) } else { Err(error) };
        }
        self.tell(&imported, output);
        Ok(imported.unreadable == 0 && imported.reviews > 0)
    }

    fn write(
        &self,
        inputs: Vec<PathBuf>,
        imported: &mut Imported,
        redactor: Option<&Redactor>,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        match &self.output {
            Some(file) => {
                let mut writer = Writer::create(file).with_context(|| format!("cannot write {}", file.display()))?;
                self.all(inputs, imported, redactor, bar, &mut writer)?;
                writer.finish().and_then(|mut file| file.flush())?;
            }
            None => {
                let mut writer = Writer::new(std::io::stdout().lock(), Compression::None)?;
                self.all(inputs, imported, redactor, bar, &mut writer)?;
                writer.finish()?.flush()?;
            }
        }
        Ok(())
    }

    /// The files, each of which can be read and is not what is written: before anything that was there is written over.
    fn inputs(&self) -> anyhow::Result<Vec<PathBuf>> {
        let output = self.output.as_ref().and_then(|output| output.canonicalize().ok());
        let mut inputs = Vec::new();
        for path in &self.files {
            for file in expand(path).with_context(|| format!("cannot read {}", path.display()))? {
                if file != Path::new("-") {
                    // A pipe can be opened once only: whoever writes to it would lose their reader.
                    let readable = match std::fs::metadata(&file) {
                        Ok(found) if found.is_file() => std::fs::File::open(&file).map(drop),
                        found => found.map(drop),
                    };
                    readable.with_context(|| format!("cannot read {}", file.display()))?;
                    let same = output.is_some() && file.canonicalize().ok() == output;
                    anyhow::ensure!(!same, "{} is read: name another file with --output", file.display());
                }
                inputs.push(file);
            }
        }
        Ok(inputs)
    }

    fn all<W: Write>(
        &self,
        inputs: Vec<PathBuf>,
        imported: &mut Imported,
        redactor: Option<&Redactor>,
        bar: &ProgressBar,
        writer: &mut Writer<W>,
    ) -> anyhow::Result<()> {
        let mut seq = 0;
        let mut put = |record: &Record| {
            seq += 1;
            bar.inc(1);
            let mut record = Record { seq, ..record.clone() };
            if let Some(redactor) = redactor {
                redactor.record(&mut record);
            }
            writer.write(&record)
        };
        for file in inputs {
            let name = file.display().to_string();
            let reader = if file == Path::new("-") { Reader::new(std::io::stdin()) } else { Reader::open(&file) };
            let reader = reader.with_context(|| format!("cannot read {name}"))?;
            let mut left_out = 0;
            import(&name, reader, self.format, imported, |record: &Record| {
                if self.webhook.as_ref().is_some_and(|webhook| *webhook != record.webhook) {
                    left_out += 1;
                    return Ok(());
                }
                put(record)
            })?;
            imported.reviews -= left_out;
        }
        // All of them at once: one file's Deployment may be in another's namespace.
        let objects = std::mem::take(&mut imported.manifests);
        manifests(objects.into(), imported, put)?;
        Ok(())
    }

    /// To standard error: standard output may be the log.
    fn tell(&self, imported: &Imported, output: &Output) {
        let mut err = std::io::stderr().lock();
        for problem in &imported.problems {
            let _ = writeln!(err, "towtank: {problem}");
        }
        if output.json && self.output.is_some() {
            output.print_json(&json!({ "reviews": imported.reviews, "passedOver": imported.passed_over,
                "unreadable": imported.unreadable }));
            return;
        }
        let _ = writeln!(err, "{} reviews, {} entries could not be read", imported.reviews, imported.unreadable);
        for (why, count) in &imported.passed_over {
            let _ = writeln!(err, "passed over: {count} ({why})");
        }
    }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// The files of a directory, sorted; anything else is itself.
fn expand(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
