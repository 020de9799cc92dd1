//! Words and statements of the shell's language.

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands.
    Text(String),
    /// `$NAME`, `${NAME}`, `${NAME:-default}`; whether it is within double quotes.
    Variable { name: String, default: Option<String>, quoted: bool },
    /// `$(…)`; whether it is within double quotes.
    Substitution { script: String, quoted: bool },
}

pub(super) type Word = Vec<Part>;

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirection {
    /// 0, 1 or 2.
    pub(super) stream: u8,
    pub(super) kind: Target,
}

/// What a stream is redirected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Write(Word),
    Append(Word),
    Read(Word),
    /// `2>&1`
    Stream(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
        redirections: Vec<Redirection>,
    },
    Pipe(Vec<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    List(Vec<Node>),
    /// `cmd &`: started and left alone.
    Background(Box<Node>),
    If {
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Loop {
        condition: Box<Node>,
        until: bool,
        body: Box<Node>,
    },
    For {
        name: String,
        words: Vec<Word>,
        body: Box<Node>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(Word),
    Operator(&'static str),
    Redirect(u8, &'static str),
}

/// How deep statements may be nested.
const MAX_DEPTH: u32 = 64;

const OPERATORS: [&str; 9] = ["&&", "||", ";;", ";", "|", "&", "(", ")", "\n"];

/// A script as statements; the error is a shell's own complaint.
pub(super) fn parse(script: &str) -> Result<Node, String> {
    let tokens = tokens(script)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(token) => Err(unexpected(Some(token))),
    }
}

fn unexpected(token: Option<&Token>) -> String {
    let shown = match token {
        None => return "syntax error: unexpected end of file".to_owned(),
        Some(Token::Operator("\n")) => "newline".to_owned(),
        Some(Token::Operator(operator) | Token::Redirect(_, operator)) => format!("{operator:?}"),
        Some(Token::Word(word)) => format!("{:?}", plain(word).unwrap_or_default()),
    };
    format!("syntax error: unexpected {shown}")
}

/// The text of a word that is nothing but text.
fn plain(word: &Word) -> Option<String> {
    word.iter().map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None }).collect()
}

fn tokens(script: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = script;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r']);
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if let Some(continued) = rest.strip_prefix("\\\n") {
            rest = continued;
        } else if first == '#' {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some((token, after)) = redirect(rest) {
            tokens.push(token);
            rest = after;
        } else if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
            tokens.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
        } else {
            let (word, after) = word(rest)?;
            tokens.push(Token::Word(word));
            rest = after;
        }
    }
}

fn redirect(rest: &str) -> Option<(Token, &str)> {
    let (number, after) = match rest.as_bytes().first()? {
        digit @ b'0'..=b'2' if matches!(rest.as_bytes().get(1), Some(b'<' | b'>')) => (Some(digit - b'0'), &rest[1..]),
        _ => (None, rest),
    };
    let operator = [">>", ">&", ">", "<"].into_iter().find(|operator| after.starts_with(operator))?;
    let default = u8::from(operator != "<");
    Some((Token::Redirect(number.unwrap_or(default), operator), &after[operator.len()..]))
}

fn word(script: &str) -> Result<(Word, &str), String> {
    let mut parts: Word = Vec::new();
    let mut text = String::new();
    let mut any = false;
    let mut rest = script;
    while let Some(letter) = rest.chars().next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '(' | ')' | '<' | '>' => break,
            '\'' => {
                let end = rest[1..].find('\'').ok_or("syntax error: unterminated quoted string")?;
                text.push_str(&rest[1..=end]);
                rest = &rest[end + 2..];
                any = true;
            }
            '"' => {
                rest = quoted(&rest[1..], &mut parts, &mut text)?;
                any = true;
            }
            '\\' => {
                let mut letters = rest[1..].chars();
                match letters.next() {
                    Some('\n') => {}
                    Some(escaped) => text.push(escaped),
                    None => text.push('\\'),
                }
                rest = letters.as_str();
            }
            '$' => rest = dollar(rest, false, &mut parts, &mut text)?,
            _ => {
                text.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    if !text.is_empty() || (any && parts.is_empty()) {
        parts.push(Part::Text(text));
    }
    Ok((parts, rest))
}

/// The inside of double quotes; gives back what follows them.
fn quoted<'a>(mut rest: &'a str, parts: &mut Word, text: &mut String) -> Result<&'a str, String> {
    loop {
        let letter = rest.chars().next().ok_or("syntax error: unterminated quoted string")?;
        match letter {
            '"' => return Ok(&rest[1..]),
            '\\' => {
                let escaped = rest[1..].chars().next().ok_or("syntax error: unterminated quoted string")?;
                if !matches!(escaped, '"' | '\\' | '$' | '`' | '\n') {
                    text.push('\\');
                }
                if escaped != '\n' {
                    text.push(escaped);
                }
                rest = &rest[1 + escaped.len_utf8()..];
            }
            '$' => rest = dollar(rest, true, parts, text)?,
            _ => {
                text.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
}

/// A `$` and what belongs to it.
fn dollar<'a>(rest: &'a str, quoted: bool, parts: &mut Word, text: &mut String) -> Result<&'a str, String> {
    let mut flush = |part: Part| {
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(text)));
        }
        parts.push(part);
    };
    let after = &rest[1..];
    if let Some(inside) = after.strip_prefix('(') {
        let end = closing(inside).ok_or("syntax error: unterminated command substitution")?;
        flush(Part::Substitution { script: inside[..end].to_owned(), quoted });
        return Ok(&inside[end + 1..]);
    }
    if let Some(inside) = after.strip_prefix('{') {
        let end = inside.find('}').ok_or("syntax error: missing '}'")?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (&inside[..end], None),
        };
        flush(Part::Variable { name: name.to_owned(), default, quoted });
        return Ok(&inside[end + 1..]);
    }
    let name_end = after.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(after.len());
    let name_end = match after.chars().next() {
        Some(special) if matches!(special, '?' | '$' | '#' | '@' | '*') || special.is_ascii_digit() => 1,
        _ => name_end,
    };
    if name_end == 0 {
        text.push('$');
        return Ok(after);
    }
    flush(Part::Variable { name: after[..name_end].to_owned(), default: None, quoted });
    Ok(&after[name_end..])
}

/// Where the parenthesis ends that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1u32;
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            ('(', None) => depth += 1,
            (')', None) => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// The word that stands here, if it is one without quotes or variables.
    fn keyword(&self) -> Option<String> {
        match self.peek()? {
            Token::Word(word) => plain(word),
            _ => None,
        }
    }

    fn take_operator(&mut self, operator: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Operator(found)) if *found == operator);
        self.at += usize::from(found);
        found
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.keyword().as_deref() == Some(keyword);
        self.at += usize::from(found);
        found
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<(), String> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(unexpected(self.peek())) }
    }

    /// Statements up to one of these keywords, a closing parenthesis, or the end.
    fn list(&mut self, ends: &[&str]) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("syntax error: nested too deeply".to_owned());
        }
        let mut nodes = Vec::new();
        loop {
            while self.take_operator(";") || self.take_operator("\n") {}
            let ended = match self.peek() {
                None | Some(Token::Operator(")")) => true,
                _ => self.keyword().is_some_and(|word| ends.contains(&word.as_str())),
            };
            if ended {
                self.depth -= 1;
                return Ok(Node::List(nodes));
            }
            let node = self.and_or()?;
            match self.peek() {
                Some(Token::Operator("&")) => {
                    self.at += 1;
                    nodes.push(Node::Background(Box::new(node)));
                    continue;
                }
                None | Some(Token::Operator(";" | "\n" | ")")) => nodes.push(node),
                Some(Token::Word(_)) if self.keyword().is_some_and(|word| ends.contains(&word.as_str())) => {
                    nodes.push(node);
                }
                token => return Err(unexpected(token)),
            }
        }
    }

    fn and_or(&mut self) -> Result<Node, String> {
        let mut left = self.pipe()?;
        loop {
            let and = self.take_operator("&&");
            if !and && !self.take_operator("||") {
                return Ok(left);
            }
            while self.take_operator("\n") {}
            let right = self.pipe()?;
            left = if and { Node::And(left.into(), right.into()) } else { Node::Or(left.into(), right.into()) };
        }
    }

    fn pipe(&mut self) -> Result<Node, String> {
        let mut negated = false;
        while self.take_keyword("!") {
            negated = !negated;
        }
        let mut stages = vec![self.command()?];
        while self.take_operator("|") {
            while self.take_operator("\n") {}
            stages.push(self.command()?);
        }
        let node = if stages.len() == 1 { stages.remove(0) } else { Node::Pipe(stages) };
        Ok(if negated { Node::Not(node.into()) } else { node })
    }

    fn command(&mut self) -> Result<Node, String> {
        if self.take_operator("(") {
            let list = self.list(&[])?;
            return if self.take_operator(")") { Ok(list) } else { Err(unexpected(self.peek())) };
        }
        match self.keyword().as_deref() {
            Some("{") => {
                self.at += 1;
                let list = self.list(&["}"])?;
                self.expect_keyword("}")?;
                Ok(list)
            }
            Some("if") => self.conditional(),
            Some(word @ ("while" | "until")) => {
                let until = word == "until";
                self.at += 1;
                let condition = Box::new(self.list(&["do"])?);
                Ok(Node::Loop { condition, until, body: self.body()? })
            }
            Some("for") => {
                self.at += 1;
                let name = self.keyword().ok_or_else(|| unexpected(self.peek()))?;
                self.at += 1;
                let mut words = Vec::new();
                if self.take_keyword("in") {
                    while let Some(Token::Word(word)) = self.peek() {
                        words.push(word.clone());
                        self.at += 1;
                    }
                }
                while self.take_operator(";") || self.take_operator("\n") {}
                Ok(Node::For { name, words, body: self.body()? })
            }
            _ => self.simple(),
        }
    }

    fn body(&mut self) -> Result<Box<Node>, String> {
        self.expect_keyword("do")?;
        let body = self.list(&["done"])?;
        self.expect_keyword("done")?;
        Ok(body.into())
    }

    fn conditional(&mut self) -> Result<Node, String> {
        let mut branches = Vec::new();
        loop {
            self.at += 1; // if, elif
            let condition = self.list(&["then"])?;
            self.expect_keyword("then")?;
            branches.push((condition, self.list(&["elif", "else", "fi"])?));
            if self.keyword().as_deref() != Some("elif") {
                break;
            }
        }
        let otherwise = if self.take_keyword("else") { Some(Box::new(self.list(&["fi"])?)) } else { None };
        self.expect_keyword("fi")?;
        Ok(Node::If { branches, otherwise })
    }

    fn simple(&mut self) -> Result<Node, String> {
        let (mut assignments, mut words, mut redirections) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match self.peek() {
                Some(Token::Word(word)) => {
                    match assignment(word).filter(|_| words.is_empty()) {
                        Some(assignment) => assignments.push(assignment),
                        None => words.push(word.clone()),
                    }
                    self.at += 1;
                }
                Some(Token::Redirect(stream, operator)) => {
                    let (stream, operator) = (*stream, *operator);
                    self.at += 1;
                    let Some(Token::Word(word)) = self.peek() else { return Err(unexpected(self.peek())) };
                    let kind = match operator {
                        ">" => Target::Write(word.clone()),
                        ">>" => Target::Append(word.clone()),
                        "<" => Target::Read(word.clone()),
                        _ => Target::Stream(if plain(word).as_deref() == Some("2") { 2 } else { 1 }),
                    };
                    redirections.push(Redirection { stream, kind });
                    self.at += 1;
                }
                token if assignments.is_empty() && words.is_empty() && redirections.is_empty() => {
                    return Err(unexpected(token));
                }
                _ => return Ok(Node::Simple { assignments, words, redirections }),
            }
        }
    }
}

/// `NAME=…`
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text(first)) = word.first() else { return None };
    let (name, value) = first.split_once('=')?;
    let valid = !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !valid {
        return None;
    }
    let mut rest = word.clone();
    rest[0] = Part::Text(value.to_owned());
    Some((name.to_owned(), rest))
}
