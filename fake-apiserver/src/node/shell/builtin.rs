//! The programs that the simulation knows.

use std::collections::BTreeMap;
use std::time::Duration;

use apimachinery::clock::Timestamp;

use super::run::Shell;
use crate::node::process;

/// What a program did.
pub(super) enum Told {
    Ended(u8),
    /// Ends with 0 after a while.
    Sleeps(Duration),
    Forever,
    /// Nobody knows it.
    Unknown,
}

impl Told {
    /// The exit code of something that has ended.
    pub(super) fn code(self) -> Option<u8> {
        match self {
            Told::Ended(code) => Some(code),
            _ => None,
        }
    }
}

/// Runs a built-in program.
pub(super) fn run(shell: &mut Shell<'_>, name: &str, arguments: &[String], stdin: &[u8]) -> Told {
    match name {
        "true" | ":" | "kill" | "trap" | "wait" | "set" | "cd" | "mkdir" | "touch" | "chmod" | "chown" | "rm"
        | "sync" | "ulimit" | "umask" | "unset" => Told::Ended(0),
        "false" => Told::Ended(1),
        "sleep" => sleep(shell, arguments),
        "pause" => Told::Forever,
        "tail" if arguments.iter().any(|argument| argument == "-f" || argument == "-F") => Told::Forever,
        "export" => {
            for (name, value) in arguments.iter().filter_map(|argument| argument.split_once('=')) {
                shell.variables.insert(name.to_owned(), value.to_owned());
            }
            Told::Ended(0)
        }
        "echo" => echo(shell, arguments),
        "printf" => printf(shell, arguments),
        "test" | "[" => {
            let end = arguments.len() - usize::from(name == "[" && arguments.last().is_some_and(|last| last == "]"));
            Told::Ended(u8::from(!holds(shell, &arguments[..end])))
        }
        "cat" => cat(shell, arguments, stdin),
        "env" | "printenv" => printenv(shell, arguments),
        "hostname" => print(shell, &format!("{}\n", shell.machine.hostname)),
        "pwd" => print(shell, "/\n"),
        "whoami" => print(shell, &format!("{}\n", process::user(shell.machine.uid))),
        "id" => id(shell, arguments),
        "date" => date(shell, arguments),
        "uname" => {
            let all = arguments.iter().any(|argument| argument == "-a");
            let text = if all {
                format!("Linux {} 6.1.0 #1 SMP x86_64 GNU/Linux\n", shell.machine.hostname)
            } else {
                "Linux\n".to_owned()
            };
            print(shell, &text)
        }
        "ls" => ls(shell, arguments),
        "ps" => {
            let now = shell.machine.started;
            let mut own = vec!["ps".to_owned()];
            own.extend_from_slice(arguments);
            let text = process::table(&shell.machine.processes, &own, shell.machine.uid, now);
            print(shell, &text)
        }
        "seq" => seq(shell, arguments),
        "grep" | "head" | "tail" | "wc" | "sort" | "uniq" | "tee" | "tr" | "cut" => {
            filter(shell, name, arguments, stdin)
        }
        _ => Told::Unknown,
    }
}

fn print(shell: &mut Shell<'_>, text: &str) -> Told {
    shell.print(false, text.as_bytes());
    Told::Ended(0)
}

fn sleep(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let mut total = Duration::ZERO;
    for argument in arguments {
        if argument == "infinity" || argument == "inf" {
            return Told::Forever;
        }
        let (number, unit) = match argument.strip_suffix(['s', 'm', 'h', 'd']) {
            Some(number) => (number, &argument[number.len()..]),
            None => (argument.as_str(), "s"),
        };
        let factor = match unit {
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => 1.0,
        };
        match number.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * factor).ok()) {
            Some(time) => total = total.saturating_add(time),
            None => {
                shell.print(true, format!("sleep: invalid time interval '{argument}'\n").as_bytes());
                return Told::Ended(1);
            }
        }
    }
    if arguments.is_empty() {
        shell.print(true, b"sleep: missing operand\n");
        return Told::Ended(1);
    }
    Told::Sleeps(total)
}

fn echo(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let flags = arguments.iter().take_while(|word| matches!(word.as_str(), "-n" | "-e" | "-ne" | "-en")).count();
    let newline = !arguments[..flags].iter().any(|flag| flag.contains('n'));
    let mut text = arguments[flags..].join(" ");
    if arguments[..flags].iter().any(|flag| flag.contains('e')) {
        text = unescape(&text);
    }
    if newline {
        text.push('\n');
    }
    print(shell, &text)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out
}

fn printf(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let Some((format, values)) = arguments.split_first() else { return Told::Ended(2) };
    let format = unescape(format);
    let mut values = values.iter();
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '%') {
            (_, true) => match letters.next() {
                Some('s' | 'd') => out.push_str(values.next().map_or("", String::as_str)),
                Some('%') | None => out.push('%'),
                Some(other) => {
                    out.push('%');
                    out.push(other);
                }
            },
            (other, false) => out.push(other),
        }
    }
    print(shell, &out)
}

fn holds(shell: &Shell<'_>, arguments: &[String]) -> bool {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    match words.as_slice() {
        ["!", rest @ ..] => !holds(shell, &arguments[arguments.len() - rest.len()..]),
        ["-n", text] | [text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        ["-e" | "-f" | "-r" | "-s", path] => shell.files.contains_key(*path),
        ["-d", path] => {
            let inside = format!("{}/", path.trim_end_matches('/'));
            shell.files.keys().any(|file| file.starts_with(&inside))
        }
        [left, "=" | "==", right] => left == right,
        [left, "!=", right] => left != right,
        [left, "-eq", right] => number(left) == number(right),
        [left, "-ne", right] => number(left) != number(right),
        [left, "-lt", right] => number(left) < number(right),
        [left, "-le", right] => number(left) <= number(right),
        [left, "-gt", right] => number(left) > number(right),
        [left, "-ge", right] => number(left) >= number(right),
        _ => false,
    }
}

fn cat(shell: &mut Shell<'_>, arguments: &[String], stdin: &[u8]) -> Told {
    let paths: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    if paths.is_empty() {
        shell.print(false, stdin);
        return Told::Ended(0);
    }
    let mut code = 0;
    for path in paths {
        match shell.files.get(path).cloned() {
            Some(contents) => shell.print(false, &contents),
            None => {
                shell.print(true, format!("cat: {path}: No such file or directory\n").as_bytes());
                code = 1;
            }
        }
    }
    Told::Ended(code)
}

fn printenv(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    if let Some(name) = arguments.first() {
        return match shell.variables.get(name).cloned() {
            Some(value) => print(shell, &format!("{value}\n")),
            None => Told::Ended(1),
        };
    }
    let text: String = shell.variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    print(shell, &text)
}

fn id(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let uid = shell.machine.uid;
    let user = process::user(uid);
    let text = match arguments.first().map(String::as_str) {
        Some("-u" | "-g") => format!("{uid}\n"),
        Some("-un" | "-gn") => format!("{user}\n"),
        _ => format!("uid={uid}({user}) gid={uid}({user}) groups={uid}({user})\n"),
    };
    print(shell, &text)
}

fn date(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let offset = i64::try_from(shell.now.as_secs()).unwrap_or(i64::MAX);
    let seconds = shell.machine.started.saturating_add(offset);
    let stamp = Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000)).rfc3339();
    let format = arguments.iter().find_map(|argument| argument.strip_prefix('+'));
    let time = jiff::Timestamp::from_second(seconds).ok().map(|time| jiff::tz::Offset::UTC.to_datetime(time));
    let text = match (format, time) {
        (Some(format), Some(time)) if format.contains("%s") => {
            let format = format.replace("%s", &seconds.to_string());
            jiff::fmt::strtime::format(format, time).unwrap_or(stamp)
        }
        (Some(format), Some(time)) => jiff::fmt::strtime::format(format, time).unwrap_or(stamp),
        (None, Some(time)) => jiff::fmt::strtime::format("%a %b %e %H:%M:%S UTC %Y", time).unwrap_or(stamp),
        (_, None) => stamp,
    };
    print(shell, &format!("{text}\n"))
}

fn ls(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let mut code = 0;
    let paths: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    for path in if paths.is_empty() { vec!["/"] } else { paths } {
        if shell.files.contains_key(path) {
            shell.print(false, format!("{path}\n").as_bytes());
            continue;
        }
        let inside = format!("{}/", path.trim_end_matches('/'));
        let mut names: Vec<String> = shell
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&inside))
            .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
            .collect();
        names.dedup();
        if names.is_empty() {
            shell.print(true, format!("ls: {path}: No such file or directory\n").as_bytes());
            code = 1;
        }
        for name in names {
            shell.print(false, format!("{name}\n").as_bytes());
        }
    }
    Told::Ended(code)
}

fn seq(shell: &mut Shell<'_>, arguments: &[String]) -> Told {
    let numbers: Vec<i64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] if *step > 0 => (*first, *step, *last),
        _ => return Told::Ended(1),
    };
    let mut text = String::new();
    let mut number = first;
    while number <= last && text.len() < 1 << 16 {
        text.push_str(&format!("{number}\n"));
        number = number.saturating_add(step);
    }
    print(shell, &text)
}

fn filter(shell: &mut Shell<'_>, name: &str, arguments: &[String], stdin: &[u8]) -> Told {
    let mut flags: Vec<&str> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    let mut number = None;
    let mut pending = false;
    for argument in arguments {
        if std::mem::take(&mut pending) {
            number = argument.parse::<usize>().ok();
        } else if let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) {
            pending = flag == "n" && matches!(name, "head" | "tail");
            number = number.or_else(|| flag.trim_start_matches('n').parse().ok());
            flags.push(flag);
        } else {
            words.push(argument);
        }
    }
    let pattern = if name == "grep" && !words.is_empty() { words.remove(0) } else { "" };
    let mut input = stdin.to_vec();
    if matches!(name, "grep" | "head" | "tail" | "wc" | "sort" | "uniq") {
        for (index, path) in words.iter().enumerate() {
            let Some(contents) = shell.files.get(*path).cloned() else {
                shell.print(true, format!("{name}: {path}: No such file or directory\n").as_bytes());
                return Told::Ended(2);
            };
            if index == 0 {
                input.clear();
            }
            input.extend(contents);
        }
    }
    let text = String::from_utf8_lossy(&input).into_owned();
    let mut lines: Vec<&str> = text.lines().collect();
    let has = |flag: char| flags.iter().any(|flags| flags.contains(flag));
    match name {
        "grep" => {
            let (invert, fold) = (has('v'), has('i'));
            let wanted = if fold { pattern.to_lowercase() } else { pattern.to_owned() };
            let (starts, wanted) = wanted.strip_prefix('^').map_or((false, wanted.as_str()), |rest| (true, rest));
            lines.retain(|line| {
                let line = if fold { line.to_lowercase() } else { (*line).to_owned() };
                (if starts { line.starts_with(wanted) } else { line.contains(wanted) }) != invert
            });
            if lines.is_empty() {
                return Told::Ended(1);
            }
            if has('q') {
                return Told::Ended(0);
            }
            if has('c') {
                return print(shell, &format!("{}\n", lines.len()));
            }
        }
        "head" => lines.truncate(number.unwrap_or(10)),
        "tail" => {
            let from = lines.len().saturating_sub(number.unwrap_or(10));
            lines.drain(..from);
        }
        "sort" => lines.sort_unstable(),
        "uniq" => lines.dedup(),
        "wc" => {
            let counts = (lines.len(), text.split_ascii_whitespace().count(), text.len());
            let shown = match flags.first() {
                Some(&"l") => counts.0.to_string(),
                Some(&"w") => counts.1.to_string(),
                Some(&"c") => counts.2.to_string(),
                _ => format!("{} {} {}", counts.0, counts.1, counts.2),
            };
            return print(shell, &format!("{shown}\n"));
        }
        _ => {}
    }
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    print(shell, &text)
}

/// `$((…))`: numbers, variables, `+ - * / %`, from left to right with the usual precedence; 0 for anything else.
pub(super) fn arithmetic(expression: &str, variables: &BTreeMap<String, String>) -> i64 {
    let mut sum = 0i64;
    let mut product = 0i64;
    let mut pending = '+';
    let mut rest = expression.trim();
    loop {
        let end = rest.find(['+', '-', '*', '/', '%']).unwrap_or(rest.len());
        let word = rest[..end].trim().trim_start_matches('$');
        let value = word.parse().ok().or_else(|| variables.get(word)?.parse().ok()).unwrap_or(0);
        match pending {
            '*' => product = product.saturating_mul(value),
            '/' => product = product.checked_div(value).unwrap_or(0),
            '%' => product = product.checked_rem(value).unwrap_or(0),
            sign => {
                sum = sum.saturating_add(product);
                product = if sign == '-' { value.saturating_neg() } else { value };
            }
        }
        let Some(operator) = rest[end..].chars().next() else { return sum.saturating_add(product) };
        pending = operator;
        rest = rest[end + 1..].trim();
    }
}
