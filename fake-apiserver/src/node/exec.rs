//! What `kubectl exec` finds.

use apimachinery::value::Value;

use super::program::{FOR_EVER, machine};
use super::shell::{Run, Unknown};

/// Runs a command in a container that was started at `since`; times are Unix seconds. The error is what the container
/// runtime says of a program that is not there.
pub(crate) fn exec(
    pod: &Value,
    container: &Value,
    command: &[String],
    stdin: &[u8],
    since: i64,
    now: i64,
) -> Result<Run, String> {
    let machine = machine(pod, container, since, now, Unknown::NotFound);
    machine.run_with(command, stdin, FOR_EVER).ok_or_else(|| {
        let name = command.first().map_or("", String::as_str);
        let why = if name.starts_with('/') {
            format!("stat {name}: no such file or directory")
        } else {
            "executable file not found in $PATH".to_owned()
        };
        format!(
            "failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: exec: {name:?}: {why}"
        )
    })
}
