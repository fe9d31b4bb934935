//! What lies behind an error. Outer errors of HTTP clients say only where it happened, and repeat each other and the URL, which may
//! hold secrets; the innermost one says what happened, in the fewest words.

use std::error::Error;

/// `error`, then what it was caused by, down to the innermost.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The innermost cause; `error` itself where it has none.
pub fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_innermost_cause_is_the_last_of_the_chain() {
        let error = Outer(io::Error::other("inner"));
        assert_eq!(chain(&error).map(ToString::to_string).collect::<Vec<_>>(), ["outer", "inner"]);
        assert_eq!(innermost(&error).to_string(), "inner");
        assert_eq!(innermost(&io::Error::other("alone")).to_string(), "alone");
    }
}
