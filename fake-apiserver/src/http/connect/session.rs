//! What exec and attach do with their streams, whatever carries these.

use std::time::Duration;

use apimachinery::value::{Value, json};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ended;
use crate::node::program::{FOR_EVER, machine};
use crate::node::shell::{Machine, Run, Unknown};
use crate::node::{self, exec, life};
use crate::registry::connect::{Connect, Purpose};
use crate::registry::logs::Log;
use crate::time;

/// What comes from the client.
pub(super) enum Input {
    Stdin(Bytes),
    /// There is no more on standard input.
    End,
}

/// What goes to the client.
pub(super) enum Output {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// The last: a Status that says how it ended.
    Status(Value),
}

/// Standard input that is kept for a program that reads it whole.
const MAX_STDIN: usize = 16 << 20;

pub(super) fn success() -> Value {
    json!({ "metadata": {}, "status": "Success" })
}

fn exit(code: u8, command: &[String]) -> Value {
    if code == 0 {
        return success();
    }
    let message = format!("error executing command {command:?}, exit code {code}").replace(['"', ','], "");
    let message = format!("command terminated with non-zero exit code: {message}");
    let causes = json!([{ "reason": "ExitCode", "message": code.to_string() }]);
    json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode",
        "details": { "causes": causes },
    })
}

fn internal(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "message": format!("Internal error occurred: {message}"),
        "reason": "InternalError", "details": { "causes": [{ "message": message }] }, "code": 500,
    })
}

/// Serves exec or attach until it ends or the client has gone.
pub(super) async fn run(connect: &Connect, mut input: mpsc::Receiver<Input>, output: mpsc::Sender<Output>) {
    let pod = connect.pod.value();
    let Some((container, status)) = node::container(pod, &connect.container) else { return };
    let since = life::started_at(status).unwrap_or(0);
    let now = time::seconds(connect.core.clock.now());
    let streams = Streams { connect, output };
    let own = node::program::argv(pod, container);
    let interactive = match &connect.purpose {
        Purpose::Exec { command } => is_shell(command),
        _ => container["stdin"] == true && is_shell(&own),
    };
    if connect.stdin && interactive {
        let machine = machine(pod, container, since, now, Unknown::NotFound);
        let (code, over) = repl(machine, &streams, &mut input).await;
        if over && matches!(connect.purpose, Purpose::Attach) {
            // It was the container's own shell.
            ended::report(connect, code).await;
        }
        return streams.end(exit(code, &own)).await;
    }
    match &connect.purpose {
        Purpose::Exec { command } => {
            let stdin = if connect.stdin && reads_stdin(command) { collect(&mut input).await } else { Vec::new() };
            match exec::exec(pod, container, command, &stdin, since, now) {
                Ok(run) => {
                    let code = play(&run, &streams).await;
                    streams.end(exit(code, command)).await;
                }
                Err(message) => {
                    streams.end(internal(&format!("error executing command in container: {message}"))).await
                }
            }
        }
        _ => {
            let mut log = Log::of(&connect.core, &connect.pod, &connect.container);
            log.skip();
            while let Some(piece) = log.next().await {
                if !streams.send(false, piece).await {
                    return;
                }
            }
            streams.end(success()).await;
        }
    }
}

fn is_shell(command: &[String]) -> bool {
    let name = command.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    matches!(name, "sh" | "bash" | "ash" | "dash") && !command.iter().any(|word| word == "-c")
}

fn reads_stdin(command: &[String]) -> bool {
    let name = command.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let programs = ["cat", "grep", "head", "tail", "wc", "sort", "uniq", "tee", "tr", "cut"];
    programs.contains(&name) && command.iter().skip(1).all(|word| word.starts_with('-') || name == "grep")
}

async fn collect(input: &mut mpsc::Receiver<Input>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Input::Stdin(bytes)) = input.recv().await {
        if all.len() + bytes.len() > MAX_STDIN {
            break;
        }
        all.extend_from_slice(&bytes);
    }
    all
}

struct Streams<'a> {
    connect: &'a Connect,
    output: mpsc::Sender<Output>,
}

impl Streams<'_> {
    /// Sends what was printed; false if nobody is there any more.
    async fn send(&self, error: bool, bytes: Vec<u8>) -> bool {
        let tty = self.connect.tty;
        let bytes = if tty { with_returns(&bytes) } else { bytes };
        let output = match error && !tty {
            true if self.connect.stderr => Output::Stderr(bytes),
            false if self.connect.stdout => Output::Stdout(bytes),
            _ => return true,
        };
        self.output.send(output).await.is_ok()
    }

    async fn end(&self, status: Value) {
        let _ = self.output.send(Output::Status(status)).await;
    }
}

/// A terminal begins lines where the last one ended unless it is told to return first.
fn with_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for &byte in bytes {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// Shows a run as it goes on in time; gives its exit code.
async fn play(run: &Run, streams: &Streams<'_>) -> u8 {
    let start = Instant::now();
    let at = |after: Duration| start.checked_add(after);
    for output in &run.output {
        if let Some(at) = at(output.at).filter(|_| !output.at.is_zero()) {
            sleep_until(at).await;
        }
        if !streams.send(output.error, output.bytes.clone()).await {
            return 0;
        }
    }
    match run.end {
        Some((after, code)) => {
            if let Some(at) = at(after).filter(|_| !after.is_zero()) {
                tokio::select! {
                    () = sleep_until(at) => {}
                    () = streams.output.closed() => {}
                }
            }
            code
        }
        None => {
            streams.output.closed().await;
            0
        }
    }
}

/// An interactive shell: line by line. Gives its last exit code, and whether it has ended: a client that has gone leaves it
/// waiting for the next.
async fn repl(mut machine: Machine, streams: &Streams<'_>, input: &mut mpsc::Receiver<Input>) -> (u8, bool) {
    let tty = streams.connect.tty;
    let prompt = if machine.uid == 0 { b"/ # ".to_vec() } else { b"/ $ ".to_vec() };
    let mut line: Vec<u8> = Vec::new();
    let mut code = 0;
    if tty && !streams.send(false, prompt.clone()).await {
        return (0, false);
    }
    let over = loop {
        let bytes = match input.recv().await {
            Some(Input::Stdin(bytes)) => bytes,
            Some(Input::End) => break true,
            None => break false,
        };
        for &byte in bytes.iter() {
            match byte {
                b'\r' | b'\n' => {
                    let typed = String::from_utf8_lossy(&std::mem::take(&mut line)).trim().to_owned();
                    if tty && !streams.send(false, b"\n".to_vec()).await {
                        return (code, false);
                    }
                    if !typed.is_empty() {
                        let (run, exits) = machine.line(&typed, FOR_EVER);
                        code = play(&run, streams).await;
                        if exits {
                            return (code, true);
                        }
                    }
                    if tty && !streams.send(false, prompt.clone()).await {
                        return (code, false);
                    }
                }
                // ^D
                4 if line.is_empty() => return (code, true),
                // ^C
                3 => {
                    line.clear();
                    streams.send(false, [b"^C\n".as_slice(), &prompt].concat()).await;
                }
                // backspace
                8 | 127 => {
                    let removed = line.pop().is_some();
                    if removed && tty {
                        streams.send(false, b"\x08 \x08".to_vec()).await;
                    }
                }
                byte if line.len() < 65_536 => {
                    line.push(byte);
                    if tty {
                        streams.send(false, vec![byte]).await;
                    }
                }
                _ => {}
            }
        }
    };
    if !line.is_empty() {
        let typed = String::from_utf8_lossy(&line).into_owned();
        code = play(&machine.line(&typed, FOR_EVER).0, streams).await;
    }
    (code, over)
}
