//! The terminal, and what comes out where there is none.

use std::io::{IsTerminal, Write, stdout};

use console::Term;

/// The alternate screen, with the cursor hidden; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// Where no terminal says how wide it is.
const WIDTH_ELSEWHERE: usize = 120;

/// How much room there is, and whether colours may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Columns.
    pub(super) width: usize,
    /// Lines; `None`: as many as are needed.
    pub(super) height: Option<usize>,
    pub(super) is_coloured: bool,
}

impl Room {
    /// For sentences: only where lines are counted must each be one line.
    pub(super) fn for_sentences(self) -> Self {
        Self { width: self.height.map_or(usize::MAX, |_| self.width), ..self }
    }
}

/// Standard output: redrawn in place at a terminal, appended to elsewhere. Dropped, it leaves the terminal as it was.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    is_live: bool,
    is_coloured: bool,
}

impl Screen {
    /// `term`, `no_color`: those variables. Not `once`, a terminal's screen is taken over.
    pub(super) fn new(once: bool, term: Option<&str>, no_color: Option<&str>) -> Self {
        let is_terminal = stdout().is_terminal() && term != Some("dumb");
        let screen =
            Self { is_terminal, is_live: is_terminal && !once, is_coloured: is_terminal && no_color.is_none() };
        if screen.is_live {
            write(ENTER);
        }
        screen
    }

    /// Whether what is drawn stands in place of what was drawn before.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Asked anew for each drawing: windows are resized.
    pub(super) fn room(&self) -> Room {
        let size = self.is_terminal.then(|| Term::stdout().size_checked()).flatten();
        let (height, width) = size.map_or((None, WIDTH_ELSEWHERE), |(lines, columns)| (Some(lines), columns.into()));
        Room { width, height: height.filter(|_| self.is_live).map(usize::from), is_coloured: self.is_coloured }
    }

    pub(super) fn draw(&self, text: &str) {
        if self.is_live {
            // Home, draw over, then clear what is left below: no flicker. No line feed at the end, which would scroll.
            write(&format!("\u{1b}[H{}\u{1b}[K\u{1b}[J", text.trim_end().replace('\n', "\u{1b}[K\r\n")));
        } else {
            write(text);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_live {
            write(LEAVE);
        }
    }
}

/// A reader that went away (`| head`) is no error.
fn write(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
