//! `.env` files, by the rules of python-dotenv, because the predecessor's users have such files: unquoted values may hold
//! spaces and `$`, and only `${NAME}` is replaced. (The Rust crates of that name refuse the one and replace the other.)

use super::Vars;

/// A line of a `.env` file that is no assignment. It is named by number only: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
}

/// Reads the text of a `.env` file. `process` answers `${NAME}` first, then what the file has set so far.
pub fn parse(text: &str, process: &Vars) -> (Vars, Vec<BadLine>) {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut bad = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, rest)) = assignment.split_once('=') else {
            bad.push(BadLine { line: index + 1 });
            continue;
        };
        let (name, rest) = (name.trim(), rest.trim_start());
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => {
                // A quoted value may go on over several lines.
                let mut quoted = rest.get(1..).unwrap_or_default().to_owned();
                while end_of_quoted(&quoted, quote).is_none() {
                    let Some((_, next)) = lines.next() else { break };
                    quoted.push('\n');
                    quoted.push_str(next);
                }
                end_of_quoted(&quoted, quote).map(|end| unescape(quoted.get(..end).unwrap_or_default(), quote))
            }
            None => Some(without_comment(rest).trim_end().to_owned()),
        };
        match value {
            Some(value) if is_name(name) => {
                let value = if quote == Some('\'') { value } else { interpolate(&value, process, &pairs) };
                pairs.push((name.to_owned(), value));
            }
            _ => bad.push(BadLine { line: index + 1 }),
        }
    }
    (pairs.into_iter().collect(), bad)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match (chars.next(), quote) {
            (Some(c @ ('\\' | '\'')), _) => out.push(c),
            (Some('n'), '"') => out.push('\n'),
            (Some('r'), '"') => out.push('\r'),
            (Some('t'), '"') => out.push('\t'),
            (Some('"'), '"') => out.push('"'),
            (Some(other), _) => out.extend(['\\', other]),
            (None, _) => out.push('\\'),
        }
    }
    out
}

/// A `#` begins a comment only after white space.
fn without_comment(text: &str) -> &str {
    let starts = text.char_indices().zip(std::iter::once(' ').chain(text.chars()));
    let comment = starts.into_iter().find(|((_, c), before)| *c == '#' && before.is_whitespace());
    comment.map_or(text, |((at, _), _)| text.get(..at).unwrap_or(text))
}

fn interpolate(text: &str, process: &Vars, pairs: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((inner, behind)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
        let from_file = || pairs.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        out.push_str(process.get(name).or_else(from_file).unwrap_or(default));
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> Option<String> {
        parse(text, &Vars::default()).0.get(name).map(str::to_owned)
    }

    #[test]
    fn reads_what_python_dotenv_reads() {
        assert_eq!(value("A=1", "A").as_deref(), Some("1"));
        assert_eq!(value("export A = two words # why", "A").as_deref(), Some("two words"));
        assert_eq!(value("A=pa$$word#1", "A").as_deref(), Some("pa$$word#1"));
        assert_eq!(value("A=\"x # y\\n\"", "A").as_deref(), Some("x # y"));
        assert_eq!(value("A='${B}'\nB=2", "A").as_deref(), Some("${B}"));
        assert_eq!(value("B=2\nA=${B}/${C:-3}", "A").as_deref(), Some("2/3"));
        assert_eq!(value("\u{feff}A=1\r\nB=2\r\n", "B").as_deref(), Some("2"));
        assert_eq!(value("A=\"one\ntwo\"", "A").as_deref(), Some("one\ntwo"));
    }

    #[test]
    fn a_line_that_is_no_assignment_is_named_by_number_and_costs_no_other() {
        let (vars, bad) = parse("# comment\nsk-secret\nA=1\nB=\"open", &Vars::default());
        assert_eq!(bad, [BadLine { line: 2 }, BadLine { line: 4 }]);
        assert_eq!(vars.get("A"), Some("1"));
    }
}
