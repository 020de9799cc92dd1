//! Runs statements, in the script's own time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::builtin::{self, Told};
use super::parse::{Node, Part, Redirection, Target, Word, parse};
use super::{Output, Run};

/// What happens with a program that the simulation does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It runs until it is stopped: a container's own program.
    Runs,
    /// There is none: what a person types into `kubectl exec`.
    NotFound,
}

/// What a script finds around it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) hostname: String,
    /// Unix seconds when the script starts.
    pub(crate) started: i64,
    /// The user's number.
    pub(crate) uid: i64,
    /// What `ps` prints before its own line: see [`crate::node::process`].
    pub(crate) processes: Vec<crate::node::process::Process>,
    /// Files that can be read.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) unknown: Unknown,
}

/// Statements that one run may execute.
const MAX_STEPS: u32 = 20_000;
/// Bytes that are kept of what one run prints; of more the first are forgotten.
const MAX_OUTPUT: usize = 1 << 20;
/// Substitutions within substitutions.
const MAX_SUBSTITUTIONS: u32 = 16;

/// Why a script does not go on.
pub(super) enum Stop {
    /// `exit`, or the last program was `exec`ed.
    Exit(u8),
    /// The horizon is reached, or something runs for ever.
    Forever,
    Break,
    Continue,
}

/// Where a program's output goes while it runs.
#[derive(Default)]
struct Sink {
    outputs: Vec<Output>,
    size: usize,
}

pub(super) struct Shell<'a> {
    pub(super) machine: &'a Machine,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) now: Duration,
    pub(super) status: u8,
    horizon: Duration,
    steps: u32,
    substitutions: u32,
    /// The innermost is where output goes now.
    sinks: Vec<Sink>,
}

/// Where a stream of a program goes.
#[derive(Clone)]
enum Place {
    /// Standard output, or standard error.
    Stream(bool),
    File(String),
    Nowhere,
}

impl Machine {
    /// Runs a program with its arguments up to `horizon` after its start. An unknown program is none (see [`Unknown`]).
    pub(crate) fn run(&self, argv: &[String], horizon: Duration) -> Option<Run> {
        self.run_with(argv, b"", horizon)
    }

    /// A line typed into an interactive shell: what it sets and writes is there for the next one.
    /// Also says whether it was told to exit.
    pub(crate) fn line(&mut self, line: &str, horizon: Duration) -> (Run, bool) {
        let mut shell = self.shell(horizon);
        let ended = match parse(line) {
            Ok(node) => shell.node(&node),
            Err(_) => shell.script(line).map(drop),
        };
        let (end, exits) = match ended {
            Ok(()) | Err(Stop::Break | Stop::Continue) => (Some((shell.now, shell.status)), false),
            Err(Stop::Exit(code)) => (Some((shell.now, code)), true),
            Err(Stop::Forever) => (None, false),
        };
        let output = shell.sinks.pop().unwrap_or_default().outputs;
        let (variables, files) = (shell.variables, shell.files);
        (self.env, self.files) = (variables, files);
        (Run { output, end }, exits)
    }

    fn shell(&self, horizon: Duration) -> Shell<'_> {
        Shell {
            machine: self,
            variables: self.env.clone(),
            files: self.files.clone(),
            now: Duration::ZERO,
            status: 0,
            horizon,
            steps: 0,
            substitutions: 0,
            sinks: vec![Sink::default()],
        }
    }

    /// The same with something on standard input.
    pub(crate) fn run_with(&self, argv: &[String], stdin: &[u8], horizon: Duration) -> Option<Run> {
        let mut shell = self.shell(horizon);
        let stop = match shell.program(argv, stdin) {
            Ok(Some(code)) => Stop::Exit(code),
            Ok(None) if self.unknown == Unknown::NotFound => return None,
            Ok(None) => Stop::Forever,
            Err(stop) => stop,
        };
        let end = match stop {
            Stop::Exit(code) => Some((shell.now, code)),
            Stop::Forever => None,
            Stop::Break | Stop::Continue => Some((shell.now, shell.status)),
        };
        let output = shell.sinks.pop().unwrap_or_default().outputs;
        Some(Run { output, end: end.filter(|(at, _)| *at <= horizon) })
    }
}

impl Shell<'_> {
    fn tick(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.now > self.horizon { Err(Stop::Forever) } else { Ok(()) }
    }

    pub(super) fn print(&mut self, error: bool, bytes: &[u8]) {
        let at = self.now;
        if let Some(sink) = self.sinks.last_mut().filter(|_| !bytes.is_empty()) {
            sink.size += bytes.len();
            sink.outputs.push(Output { at, error, bytes: bytes.to_vec() });
            while sink.size > MAX_OUTPUT && sink.outputs.len() > 1 {
                sink.size -= sink.outputs.remove(0).bytes.len();
            }
        }
    }

    /// Runs a program; none if nobody knows it.
    fn program(&mut self, argv: &[String], stdin: &[u8]) -> Result<Option<u8>, Stop> {
        let Some(name) = argv.first() else { return Ok(Some(0)) };
        let base = name.rsplit('/').next().unwrap_or(name);
        match base {
            "sh" | "bash" | "ash" | "dash" => self.shell(argv, stdin).map(Some),
            "exit" => {
                let code = argv.get(1).and_then(|code| code.parse::<i64>().ok());
                Err(Stop::Exit(code.map_or(self.status, |code| code.to_le_bytes()[0])))
            }
            "break" => Err(Stop::Break),
            "continue" => Err(Stop::Continue),
            "exec" => {
                let code = self.known(&argv[1..], stdin)?;
                Err(Stop::Exit(code))
            }
            "env" if argv.len() > 1 => {
                let from = argv[1..].iter().position(|word| !word.contains('=')).map_or(argv.len(), |at| at + 1);
                for (name, value) in argv[1..from].iter().filter_map(|word| word.split_once('=')) {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                if from < argv.len() {
                    self.program(&argv[from..], stdin)
                } else {
                    Ok(builtin::run(self, "env", &[], b"").code())
                }
            }
            "timeout" | "nohup" | "tini" | "dumb-init" => {
                let skip = argv[1..].iter().take_while(|word| word.starts_with('-')).count();
                let skip = 1 + skip + usize::from(base == "timeout");
                self.program(argv.get(skip..).unwrap_or_default(), stdin)
            }
            _ => match builtin::run(self, base, &argv[1..], stdin) {
                Told::Ended(code) => Ok(Some(code)),
                Told::Sleeps(time) => {
                    self.now = self.now.saturating_add(time);
                    if self.now > self.horizon { Err(Stop::Forever) } else { Ok(Some(0)) }
                }
                Told::Forever => Err(Stop::Forever),
                Told::Unknown => Ok(None),
            },
        }
    }

    /// Runs a program from within a script: an unknown one runs for ever, or is not found.
    fn known(&mut self, argv: &[String], stdin: &[u8]) -> Result<u8, Stop> {
        match self.program(argv, stdin)? {
            Some(code) => Ok(code),
            None if self.machine.unknown == Unknown::Runs => Err(Stop::Forever),
            None => {
                let name = argv.first().map_or("", String::as_str);
                self.print(true, format!("sh: {name}: not found\n").as_bytes());
                Ok(127)
            }
        }
    }

    /// `sh`, `sh -c SCRIPT`.
    fn shell(&mut self, argv: &[String], stdin: &[u8]) -> Result<u8, Stop> {
        let script = match argv.iter().skip(1).position(|word| word.starts_with('-') && word.contains('c')) {
            Some(at) => argv.get(at + 2).cloned().unwrap_or_default(),
            None => String::from_utf8_lossy(stdin).into_owned(),
        };
        self.script(&script)
    }

    fn script(&mut self, script: &str) -> Result<u8, Stop> {
        match parse(script) {
            Ok(node) => match self.node(&node) {
                Ok(()) => Ok(self.status),
                Err(Stop::Exit(code)) => Ok(code),
                Err(stop) => Err(stop),
            },
            Err(complaint) => {
                self.print(true, format!("sh: {complaint}\n").as_bytes());
                Ok(2)
            }
        }
    }

    fn node(&mut self, node: &Node) -> Result<(), Stop> {
        self.tick()?;
        match node {
            Node::List(nodes) => nodes.iter().try_for_each(|node| self.node(node)),
            Node::And(left, right) => {
                self.node(left)?;
                if self.status == 0 { self.node(right) } else { Ok(()) }
            }
            Node::Or(left, right) => {
                self.node(left)?;
                if self.status == 0 { Ok(()) } else { self.node(right) }
            }
            Node::Not(inner) => {
                self.node(inner)?;
                self.status = u8::from(self.status == 0);
                Ok(())
            }
            Node::Background(inner) => {
                // It has its own time; what it prints later is not waited for.
                let now = self.now;
                let ended = self.node(inner);
                self.now = now;
                self.status = 0;
                match ended {
                    Err(Stop::Forever) if self.steps <= MAX_STEPS => Ok(()),
                    Ok(()) | Err(Stop::Exit(_)) => Ok(()),
                    Err(stop) => Err(stop),
                }
            }
            Node::If { branches, otherwise } => {
                for (condition, body) in branches {
                    self.node(condition)?;
                    if self.status == 0 {
                        return self.node(body);
                    }
                }
                self.status = 0;
                otherwise.as_ref().map_or(Ok(()), |otherwise| self.node(otherwise))
            }
            Node::Loop { condition, until, body } => self.repeat(condition, *until, body),
            Node::For { name, words, body } => {
                for value in self.expand_all(words)? {
                    self.variables.insert(name.clone(), value);
                    match self.node(body) {
                        Err(Stop::Break) => break,
                        Ok(()) | Err(Stop::Continue) => {}
                        Err(stop) => return Err(stop),
                    }
                }
                Ok(())
            }
            Node::Pipe(stages) => self.pipe(stages),
            Node::Simple { assignments, words, redirections } => self.simple(assignments, words, redirections, b""),
        }
    }

    fn repeat(&mut self, condition: &Node, until: bool, body: &Node) -> Result<(), Stop> {
        loop {
            self.node(condition)?;
            if (self.status == 0) == until {
                self.status = 0;
                return Ok(());
            }
            match self.node(body) {
                Err(Stop::Break) => return Ok(()),
                Ok(()) | Err(Stop::Continue) => {}
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Runs something and keeps what it prints to standard output from whoever reads ours.
    fn captured(&mut self, run: impl FnOnce(&mut Self) -> Result<(), Stop>) -> (Vec<u8>, Result<(), Stop>) {
        self.sinks.push(Sink::default());
        let ended = run(self);
        let outputs = self.sinks.pop().unwrap_or_default().outputs;
        let (errors, texts): (Vec<Output>, Vec<Output>) = outputs.into_iter().partition(|output| output.error);
        for output in errors {
            self.print(true, &output.bytes);
        }
        (texts.into_iter().flat_map(|output| output.bytes).collect(), ended)
    }

    fn pipe(&mut self, stages: &[Node]) -> Result<(), Stop> {
        let mut stdin = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let last = index + 1 == stages.len();
            let run = |shell: &mut Self| match stage {
                Node::Simple { assignments, words, redirections } => {
                    shell.simple(assignments, words, redirections, &stdin)
                }
                other => shell.node(other),
            };
            if last {
                return run(self);
            }
            let (output, ended) = self.captured(run);
            match ended {
                Ok(()) | Err(Stop::Exit(_)) => stdin = output,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn simple(
        &mut self,
        assignments: &[(String, Word)],
        words: &[Word],
        redirections: &[Redirection],
        stdin: &[u8],
    ) -> Result<(), Stop> {
        for (name, word) in assignments {
            let value = self.expand(word)?.join(" ");
            self.variables.insert(name.clone(), value);
        }
        let argv = self.expand_all(words)?;
        if argv.is_empty() {
            self.status = 0;
            return Ok(());
        }
        if redirections.is_empty() {
            self.status = self.known(&argv, stdin)?;
            return Ok(());
        }
        self.redirected(&argv, redirections, stdin)
    }

    fn redirected(&mut self, argv: &[String], redirections: &[Redirection], stdin: &[u8]) -> Result<(), Stop> {
        let mut input = None;
        // Where the two streams go, redirections applied one after the other.
        let mut places = [Place::Stream(false), Place::Stream(true)];
        for Redirection { stream, kind } in redirections {
            let own = usize::from(*stream == 2);
            match kind {
                Target::Stream(to) => places[own] = places[usize::from(*to == 2)].clone(),
                Target::Read(word) => {
                    let path = self.expand(word)?.join(" ");
                    let Some(contents) = self.files.get(&path).cloned() else {
                        self.print(true, format!("sh: can't open {path}: no such file\n").as_bytes());
                        self.status = 1;
                        return Ok(());
                    };
                    input = Some(contents);
                }
                Target::Write(word) | Target::Append(word) => {
                    let path = self.expand(word)?.join(" ");
                    places[own] = match path.as_str() {
                        "/dev/null" => Place::Nowhere,
                        "/dev/stderr" => Place::Stream(true),
                        "/dev/stdout" | "/proc/1/fd/1" => Place::Stream(false),
                        _ => {
                            let contents = self.files.entry(path.clone()).or_default();
                            if matches!(kind, Target::Write(_)) {
                                contents.clear();
                            }
                            Place::File(path)
                        }
                    };
                }
            }
        }
        self.sinks.push(Sink::default());
        let ended = self.known(argv, input.as_deref().unwrap_or(stdin));
        let outputs = self.sinks.pop().unwrap_or_default().outputs;
        for output in outputs {
            match &places[usize::from(output.error)] {
                Place::Nowhere => {}
                Place::Stream(error) => self.print(*error, &output.bytes),
                Place::File(path) => {
                    let file = self.files.entry(path.clone()).or_default();
                    if file.len() + output.bytes.len() <= MAX_OUTPUT {
                        file.extend_from_slice(&output.bytes);
                    }
                }
            }
        }
        self.status = ended?;
        Ok(())
    }

    fn expand_all(&mut self, words: &[Word]) -> Result<Vec<String>, Stop> {
        let mut all = Vec::new();
        for word in words {
            all.extend(self.expand(word)?);
        }
        Ok(all)
    }

    /// The fields that a word comes to.
    fn expand(&mut self, word: &Word) -> Result<Vec<String>, Stop> {
        let mut fields = Vec::new();
        let mut current: Option<String> = None;
        for part in word {
            let (text, quoted) = match part {
                Part::Text(text) => (text.clone(), true),
                Part::Variable { name, default, quoted } => (self.variable(name, default.as_deref()), *quoted),
                Part::Substitution { script, quoted } => (self.substitute(script)?, *quoted),
            };
            if quoted {
                current.get_or_insert_default().push_str(&text);
                continue;
            }
            let mut pieces = text.split_ascii_whitespace();
            if let Some(first) = pieces.next() {
                current.get_or_insert_default().push_str(first);
            }
            for piece in pieces {
                fields.extend(current.replace(piece.to_owned()));
            }
        }
        fields.extend(current);
        Ok(fields)
    }

    fn variable(&self, name: &str, default: Option<&str>) -> String {
        let value = match name {
            "?" => self.status.to_string(),
            "$" => "1".to_owned(),
            "0" => "sh".to_owned(),
            _ => self.variables.get(name).cloned().unwrap_or_default(),
        };
        if value.is_empty() { default.unwrap_or_default().to_owned() } else { value }
    }

    fn substitute(&mut self, script: &str) -> Result<String, Stop> {
        if let Some(expression) = script.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return Ok(builtin::arithmetic(expression, &self.variables).to_string());
        }
        if self.substitutions == MAX_SUBSTITUTIONS {
            return Err(Stop::Forever);
        }
        self.substitutions += 1;
        let (output, ended) = self.captured(|shell| {
            shell.status = shell.script(script)?;
            Ok(())
        });
        self.substitutions -= 1;
        ended?;
        Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned())
    }
}
