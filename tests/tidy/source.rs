//! Enough of Rust's lexical grammar to count: strings, characters, comments and
//! braces. It knows no meaning.

/// A function that has a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Where `fn` stands, from 1.
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// Lines before the first `#[cfg(test)]`.
pub(crate) fn code_lines(text: &str) -> usize {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}

/// The text with the insides of strings, characters and comments blanked; lines stay.
pub(crate) fn without_text(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'/')) => line_end(bytes, at),
            (b'/', Some(b'*')) => comment_end(bytes, at),
            (b'r', Some(b'"' | b'#')) if !follows_name(bytes, at) => raw_end(bytes, at),
            (b'"', _) => string_end(bytes, at),
            (b'\'', _) => character_end(bytes, at),
            _ => at,
        };
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(out).unwrap()
}

/// Every function with a body.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let code = without_text(text);
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if follows_name(bytes, at) {
            continue;
        }
        let name: String =
            code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(bytes, at) {
            let line = code[..at].matches('\n').count() + 1;
            let lines = code[at..end].matches('\n').count() + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// The end of the body that follows a signature; `None` where it has none.
fn body_end(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut nested, mut depth) = (0_i32, 0_i32);
    for (i, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested -= 1,
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 && nested == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn follows_name(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i < bytes.len() {
        if bytes[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if bytes[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    bytes.len()
}

fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return at;
    }
    let close = [vec![b'"'], vec![b'#'; hashes]].concat();
    let inside = at + 2 + hashes;
    let found = bytes[inside..].windows(close.len()).position(|w| w == close);
    found.map_or(bytes.len(), |n| inside + n + close.len())
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// A lifetime is no character: it has no closing quote.
fn character_end(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        let close = bytes[at + 3..].iter().position(|b| *b == b'\'');
        return close.map_or(at, |n| at + 3 + n + 1);
    }
    let width = bytes.get(at + 1).map_or(1, |b| match b {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    });
    if bytes.get(at + 1 + width) == Some(&b'\'') { at + width + 2 } else { at }
}

#[test]
fn text_is_blanked_and_lines_stay() {
    let text = "let a = \"{ // \\\" }\"; // {\nlet b: &'a str = r#\"\"}\"#; /* { /* */ \n */ let c = '{';\n";
    let code = without_text(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(!code.contains('{') && !code.contains('}'), "{code}");
    assert!(code.contains("&'a str") && code.contains("let c ="), "{code}");
}

#[test]
fn functions_are_measured_from_name_to_brace() {
    let text = "trait T {\n    fn none(&self);\n}\nfn two(a: [u8; 2]) -> u8 {\n    a[0]\n}\n";
    let found = functions(text);
    assert_eq!(found, [Function { name: "two".to_owned(), line: 4, lines: 3 }]);
}
