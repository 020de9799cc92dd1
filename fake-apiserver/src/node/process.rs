//! What `ps` shows in a container.

/// A process in a container's process table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) uid: i64,
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// When it was started, in Unix seconds.
    pub(crate) started: i64,
    pub(crate) argv: Vec<String>,
}

/// A user's name: those that images have, else the number.
pub(crate) fn user(uid: i64) -> String {
    match uid {
        0 => "root".to_owned(),
        1337 => "istio-proxy".to_owned(),
        65534 => "nobody".to_owned(),
        uid => uid.to_string(),
    }
}

/// At most eight letters: of longer names seven and a `+`, as procps cuts them.
fn short(user: &str) -> String {
    if user.len() <= 8 { user.to_owned() } else { format!("{}+", user.get(..7).unwrap_or(user)) }
}

/// `01:05` on the day itself, `Sep06` later.
fn start_time(started: i64, now: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(started) else { return "?".to_owned() };
    let format = if now - started < 86_400 { "%H:%M" } else { "%b%d" };
    jiff::fmt::strtime::format(format, jiff::tz::Offset::UTC.to_datetime(time)).unwrap_or_default()
}

/// The table as `ps` with these arguments prints it, its own line included; `own` is the whole command line.
pub(crate) fn table(processes: &[Process], own: &[String], uid: i64, now: i64) -> String {
    let pid = processes.iter().map(|process| process.pid).max().unwrap_or(0).saturating_add(13);
    let ps = Process { uid, pid, parent: 0, started: now, argv: own.to_vec() };
    let all = processes.iter().chain([&ps]);
    let flags: String = own.iter().skip(1).flat_map(|flag| flag.chars()).collect();
    let mut out = String::new();
    if flags.contains('f') {
        out.push_str("UID        PID  PPID  C STIME TTY          TIME CMD\n");
        for process in all {
            let (user, start) = (short(&user(process.uid)), start_time(process.started, now));
            let (pid, parent, command) = (process.pid, process.parent, process.argv.join(" "));
            out.push_str(&format!("{user:<8} {pid:>5} {parent:>5}  0 {start} ?        00:00:00 {command}\n"));
        }
    } else if flags.contains('u') {
        out.push_str("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n");
        for process in all {
            let (user, start) = (short(&user(process.uid)), start_time(process.started, now));
            let (pid, command) = (process.pid, process.argv.join(" "));
            out.push_str(&format!(
                "{user:<8} {pid:>7}  0.0  0.0      0     0 ?        Ss   {start}   0:00 {command}\n"
            ));
        }
    } else {
        out.push_str("    PID TTY          TIME CMD\n");
        for process in all {
            let name = process.argv.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
            out.push_str(&format!("{:>7} ?        00:00:00 {name}\n", process.pid));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_as_procps_cuts_them() {
        let agent = Process {
            uid: 1337,
            pid: 1,
            parent: 0,
            started: 1_536_192_000,
            argv: vec!["/usr/local/bin/pilot-agent".into(), "proxy".into()],
        };
        let shown = table(&[agent], &["ps".into(), "-ef".into()], 1337, 1_536_192_060);
        assert_eq!(
            shown,
            "UID        PID  PPID  C STIME TTY          TIME CMD\n\
             istio-p+     1     0  0 00:00 ?        00:00:00 /usr/local/bin/pilot-agent proxy\n\
             istio-p+    14     0  0 00:01 ?        00:00:00 ps -ef\n"
        );
    }
}
