//! How wrong the monitor's own figures are: it probes a server that logs the instant of every write, and compares.
//!
//! The server is another process (this program again, as the hidden `calibrate-server`), so that neither shares a runtime, a lock
//! or an allocator with what is judged. What counts as the truth of a probe is
//! - its start: the instant from which the record's own durations count;
//! - the arrival of a chunk: the instant just before the server's `write` call for it. Over loopback the kernel delivers within
//!   that call, so the error reported holds the way through the kernel, the wake-up of the monitor, and all of its own work.
//!
//! Both processes read `SystemTime`, in nanoseconds: the one clock that is the same in both without `unsafe` or another crate,
//! on every platform. Durations inside each process run on the monotonic clock as ever; on Linux the two differ by a constant,
//! unless somebody sets the time, and that is noticed.

mod clock;
pub(crate) mod command;
mod figures;
mod level;
mod plan;
pub(crate) mod server;
#[cfg(test)]
mod tests;
