//! What the two sides are called where there is little room: as short as tells them apart.

/// Names for both: files without their folders, and what goes with a file only where it makes the difference.
pub(super) fn names(baseline: &str, candidate: &str) -> (String, String) {
    let forms = [(1, false), (1, true), (2, true), (3, true)];
    let mut pairs =
        forms.map(|(parts, whole)| (short(baseline, parts, whole), short(candidate, parts, whole))).into_iter();
    if baseline == candidate {
        return pairs.next().unwrap_or_default();
    }
    pairs.find(|(a, b)| a != b).unwrap_or_else(|| (baseline.to_owned(), candidate.to_owned()))
}

/// The last so many parts of each path; without what follows the first comma, or with it.
fn short(name: &str, parts: usize, whole: bool) -> String {
    if name.starts_with("exec:") {
        return name.to_owned();
    }
    let mut segments = name.split(',');
    let first = segments.next().unwrap_or_default();
    let mut out = if first.contains("://") { first.to_owned() } else { tail(first, parts).to_owned() };
    for segment in segments.filter(|_| whole) {
        out.push(',');
        match segment.split_once('=') {
            Some((key, value)) => {
                out.push_str(key);
                out.push('=');
                out.push_str(tail(value, parts));
            }
            None => out.push_str(segment),
        }
    }
    out
}

/// The last so many parts of a path.
fn tail(path: &str, parts: usize) -> &str {
    let cut = path.rmatch_indices('/').nth(parts.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
    path.get(cut..).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_are_as_short_as_tells_them_apart() {
        let told = |a, b| {
            let (a, b) = names(a, b);
            format!("{a} | {b}")
        };
        assert_eq!(told("recorded", "a/b/new.yaml,values=a/v.json"), "recorded | new.yaml");
        assert_eq!(
            told("x/c.yaml,values=a/v.json", "x/c.yaml,values=a/w.json"),
            "c.yaml,values=v.json | c.yaml,values=w.json"
        );
        assert_eq!(
            told("/x/c.yaml,values=/s/a/v.json,revision=r", "/x/c.yaml,values=/s/b/v.json,revision=r"),
            "x/c.yaml,values=a/v.json,revision=r | x/c.yaml,values=b/v.json,revision=r"
        );
        assert_eq!(told("/1/a/b/c.yaml", "/2/a/b/c.yaml"), "/1/a/b/c.yaml | /2/a/b/c.yaml");
        assert_eq!(
            told("https://old:8443/inject,ca=ca.pem", "https://new:8443/inject,insecure"),
            "https://old:8443/inject | https://new:8443/inject"
        );
        assert_eq!(
            told("https://old/inject,ca=a/ca.pem", "https://old/inject,insecure"),
            "https://old/inject,ca=ca.pem | https://old/inject,insecure"
        );
        assert_eq!(told("exec:./a --b c/d,e", "exec:./a --b c/d,f"), "exec:./a --b c/d,e | exec:./a --b c/d,f");
        assert_eq!(told("a/modern.yaml", "a/modern.yaml"), "modern.yaml | modern.yaml");
    }
}
