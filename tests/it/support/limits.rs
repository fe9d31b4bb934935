//! Programs that start another one with less than it wants.

use std::os::unix::fs::MetadataExt;

/// No file may grow beyond this many times 512 bytes: what is over fails as on a full disk. It needs no disk of its own and no
/// rights, and the program that is run is the real one.
pub(crate) struct NoFileOver(String);

impl NoFileOver {
    pub(crate) fn blocks(count: u32) -> Self {
        // Where the signal is not ignored, the kernel ends the program instead of failing its write.
        Self(format!("trap '' XFSZ; ulimit -f {count}; exec \"$@\""))
    }

    /// The kernel ends the program as with `kill -9` at the write that is over, of which a part is on the disk.
    pub(crate) fn or_death(count: u32) -> Self {
        Self(format!("ulimit -c 0; ulimit -f {count}; exec \"$@\""))
    }

    pub(crate) fn by(&self) -> [&str; 4] {
        ["/bin/sh", "-c", &self.0, "sh"]
    }
}

/// Makes permissions bind. Tests often run as root, for whom they do not: what sets root apart is taken from the program. Files
/// stay its own, so that it gets as far as an ordinary user with their own files; to be somebody else it would need a path to the
/// program that everybody may go.
pub(crate) fn bound_by_permissions() -> &'static [&'static str] {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if is_root { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { &[] }
}
