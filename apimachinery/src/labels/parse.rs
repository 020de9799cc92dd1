//! The text form of a selector, with the apiserver's error texts.

use super::{Error, Requirement};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    /// A word; `in` and `notin` are operators only where an operator may stand.
    Word(&'a str),
    /// One of `= == != ! > < ( ) ,`.
    Symbol(&'a str),
    End,
}

impl Token<'_> {
    fn text(&self) -> &str {
        match self {
            Token::Word(text) | Token::Symbol(text) => text,
            Token::End => "",
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, Error> {
    let mut tokens = Tokens { rest: text };
    let mut requirements = Vec::new();
    loop {
        match tokens.peek() {
            Token::Word(_) | Token::Symbol("!") => {
                let requirement =
                    requirement(&mut tokens).map_err(|e| Error(format!("unable to parse requirement: {e}")))?;
                requirements.push(requirement);
                match tokens.next() {
                    Token::End => return Ok(requirements),
                    Token::Symbol(",") => match tokens.peek() {
                        Token::Word(_) | Token::Symbol("!") => {}
                        other => return found(other, "identifier after ','"),
                    },
                    other => return found(other, "',' or 'end of string'"),
                }
            }
            Token::End => return Ok(requirements),
            other @ Token::Symbol(_) => return found(other, "!, identifier, or 'end of string'"),
        }
    }
}

fn found<T>(token: Token<'_>, expected: &str) -> Result<T, Error> {
    Err(Error(format!("found '{}', expected: {expected}", token.text())))
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, Error> {
    let mut first = tokens.next();
    let absent = first == Token::Symbol("!");
    if absent {
        first = tokens.next();
    }
    let Token::Word(key) = first else { return found(first, "identifier") };
    super::check_key(key).map_err(|why| Error(format!("<nil>: Invalid value: {key:?}: {why}")))?;
    if matches!(tokens.peek(), Token::End | Token::Symbol(",")) || absent {
        return Requirement::new(key, if absent { "DoesNotExist" } else { "Exists" }, Vec::new());
    }
    match tokens.next() {
        Token::Word("in") => Requirement::new(key, "In", set(tokens)?),
        Token::Word("notin") => Requirement::new(key, "NotIn", set(tokens)?),
        Token::Symbol("=" | "==") => Requirement::new(key, "Equals", vec![exact(tokens)?]),
        Token::Symbol("!=") => Requirement::new(key, "NotEquals", vec![exact(tokens)?]),
        Token::Symbol(">") => Requirement::new(key, "Gt", vec![exact(tokens)?]),
        Token::Symbol("<") => Requirement::new(key, "Lt", vec![exact(tokens)?]),
        other => found(other, "in, notin, =, ==, !=, gt, lt"),
    }
}

/// The value after `=`; nothing before a comma or the end is the empty value.
fn exact(tokens: &mut Tokens<'_>) -> Result<String, Error> {
    if matches!(tokens.peek(), Token::End | Token::Symbol(",")) {
        return Ok(String::new());
    }
    match tokens.next() {
        Token::Word(value) => Ok(value.to_owned()),
        other => found(other, "identifier"),
    }
}

/// `(a,b)`; `(,a)` and `(a,)` hold the empty value.
fn set(tokens: &mut Tokens<'_>) -> Result<Vec<String>, Error> {
    let open = tokens.next();
    if open != Token::Symbol("(") {
        return Err(Error(format!("found '{}' expected: '('", open.text())));
    }
    let mut values: Vec<String> = Vec::new();
    match tokens.peek() {
        Token::Word(_) | Token::Symbol(",") => {}
        Token::Symbol(")") => {
            tokens.next();
            // No value at all stands for the empty one.
            return Ok(vec![String::new()]);
        }
        other => return found(other, "',', ')' or identifier"),
    }
    loop {
        match tokens.next() {
            Token::Word(value) => {
                values.push(value.to_owned());
                match tokens.peek() {
                    Token::Symbol(",") => {}
                    Token::Symbol(")") => break,
                    other => return found(other, "',' or ')'"),
                }
            }
            Token::Symbol(",") => {
                if values.is_empty() {
                    values.push(String::new());
                }
                match tokens.peek() {
                    Token::Symbol(")") => {
                        values.push(String::new());
                        break;
                    }
                    Token::Symbol(",") => {
                        tokens.next();
                        values.push(String::new());
                    }
                    _ => {}
                }
            }
            other => return found(other, "',', or identifier"),
        }
    }
    tokens.next();
    values.sort();
    values.dedup();
    Ok(values)
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Token<'a> {
        Tokens { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'a> {
        let special = |c: char| "=!(),><".contains(c);
        let blank = |c: char| " \t\r\n".contains(c);
        let text = self.rest.trim_start_matches(blank);
        let length = match text.chars().next() {
            None => {
                self.rest = "";
                return Token::End;
            }
            Some('=' | '!') if text[1..].starts_with('=') => 2,
            Some(c) if special(c) => 1,
            Some(_) => text.find(|c| special(c) || blank(c)).unwrap_or(text.len()),
        };
        let (token, rest) = text.split_at(length);
        self.rest = rest;
        if token.starts_with(special) { Token::Symbol(token) } else { Token::Word(token) }
    }
}
