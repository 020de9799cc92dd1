//! Limits of `Warning` headers (vectors `deny/warnings-*`).

/// Characters of all texts together before they are cut.
const TOTAL: usize = 4096;
/// Characters of one text once they are cut.
const EACH: usize = 256;

/// The texts as they are sent: whole while they stay within 4096 characters together, else every one cut to 256, and no
/// more than fit.
pub fn header_texts(warnings: &[String]) -> Vec<String> {
    let mut sent: Vec<String> = Vec::new();
    let mut written = 0;
    let mut cutting = false;
    let cut = |text: &str| -> String { text.chars().take(EACH).collect() };
    for (index, warning) in warnings.iter().enumerate() {
        if cutting && written >= TOTAL {
            break;
        }
        let text = if cutting { cut(warning) } else { warning.clone() };
        let length = text.chars().count();
        if cutting || written + length <= TOTAL {
            written += length;
            sent.push(text);
        } else {
            cutting = true;
            sent = warnings[..=index].iter().map(|text| cut(text)).collect();
            written = sent.iter().map(|text| text.chars().count()).sum();
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::header_texts;

    #[test]
    fn long_texts_are_cut_once_the_total_is_reached() {
        let long = "x".repeat(5000);
        assert_eq!(header_texts(&["a".to_owned(), long.clone()]), ["a".to_owned(), "x".repeat(256)]);
        let short: Vec<String> = (0..20).map(|index| format!("{index:0300}")).collect();
        let sent = header_texts(&short);
        assert!(sent.iter().all(|text| text.chars().count() == 256));
        assert_eq!(sent.len(), 16);
    }
}
