//! Finds `$name` in SQL text, outside literals, quoted names and comments.
//! It knows DuckDB's lexical rules and nothing of what a statement means.

use std::ops::Range;

/// A `$name` and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placeholder {
    /// Without the `$`.
    pub(crate) name: String,
    /// With the `$`, in bytes.
    pub(crate) range: Range<usize>,
}

/// All placeholders of a text, in order.
pub(crate) fn placeholders(sql: &str) -> Vec<Placeholder> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        at = match bytes[at] {
            quote @ (b'\'' | b'"') => {
                let escapes = quote == b'\'' && is_escape_string(bytes, at);
                after_quote(bytes, at, quote, escapes)
            }
            b'-' if bytes[at..].starts_with(b"--") => after(sql, at, "\n"),
            b'/' if bytes[at..].starts_with(b"/*") => after_comment(bytes, at),
            b'$' => {
                let end = at + 1 + name_length(&bytes[at + 1..]);
                if bytes.get(end) == Some(&b'$') {
                    // `$$…$$` or `$tag$…$tag$`.
                    after(sql, end + 1, &sql[at..=end])
                } else {
                    if end > at + 1 {
                        let name = sql[at + 1..end].to_owned();
                        found.push(Placeholder { name, range: at..end });
                    }
                    end
                }
            }
            b if is_name(b) => at + name_length_anywhere(&bytes[at..]),
            _ => at + 1,
        };
    }
    found
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn name_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| is_name(**b)).count()
}

/// Within a name `$` is a letter like others.
fn name_length_anywhere(bytes: &[u8]) -> usize {
    let length = bytes.iter().take_while(|b| is_name(**b) || **b == b'$').count();
    // `E'…'`: the quote that follows is the caller's next.
    length.max(1)
}

/// `E'…'`, where a backslash escapes.
fn is_escape_string(bytes: &[u8], quote: usize) -> bool {
    let before = |back: usize| quote.checked_sub(back).map(|i| bytes[i]);
    matches!(before(1), Some(b'e' | b'E')) && !before(2).is_some_and(is_name)
}

fn after_quote(bytes: &[u8], start: usize, quote: u8, escapes: bool) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

/// Block comments nest.
fn after_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn after(sql: &str, from: usize, end: &str) -> usize {
    sql[from..].find(end).map_or(sql.len(), |i| from + i + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<String> {
        placeholders(sql).into_iter().map(|p| p.name).collect()
    }

    #[test]
    fn names_are_found_where_they_are_parameters() {
        assert_eq!(names("WHERE a = $day AND b<$n"), ["day", "n"]);
        assert_eq!(names("SELECT $a::DATE, f($b)"), ["a", "b"]);
    }

    #[test]
    fn literals_names_and_comments_are_passed_over() {
        let sql = "SELECT '$a', 'it''s $b', \"$c\", E'\\'$d', $$ $e $$, $x$ $f $x$, a$g -- $h\n\
                   /* $i /* $j */ $k */ , $last";
        assert_eq!(names(sql), ["last"]);
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for sql in ["'$a", "\"$a", "/* $a", "$$ $a", "$", "-- $a"] {
            assert!(names(sql).is_empty(), "{sql}");
        }
    }
}
