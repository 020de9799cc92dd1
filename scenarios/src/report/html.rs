//! One HTML page that needs nothing else: no network, no file beside it.
//!
//! The page's data stands in it as JSON, and its script puts it into the document as text, never as markup. What could end
//! the element is escaped in the JSON, and a content security policy forbids everything but what is in the page.

use super::page::Page;

const FRAME: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The page as HTML.
#[must_use]
pub fn html(page: &Page) -> String {
    let data = serde_json::to_string(page).unwrap_or_default();
    let mut json = String::with_capacity(data.len());
    for c in data.chars() {
        match c {
            '<' => json.push_str("\\u003c"),
            '>' => json.push_str("\\u003e"),
            '&' => json.push_str("\\u0026"),
            '\u{2028}' => json.push_str("\\u2028"),
            '\u{2029}' => json.push_str("\\u2029"),
            c => json.push(c),
        }
    }
    let title: String = page
        .title
        .chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            c => c.to_string(),
        })
        .collect();
    // One pass over the frame: what is put in is not looked at again.
    let mut out = String::with_capacity(FRAME.len() + STYLE.len() + SCRIPT.len() + json.len());
    let mut rest = FRAME;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(match name {
            "title" => &title,
            "style" => STYLE,
            "script" => SCRIPT,
            "data" => &json,
            _ => "",
        });
        rest = after;
    }
    out.push_str(rest);
    out
}
