//! Rows on their way into the files of their days: as many files as there are days, few of them open at a time.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    sync::Arc,
};

use bytes::Bytes;
use chrono::NaiveDate;

use super::{
    day_name::DayName,
    days::{Days, Veil},
    disk::{Gate, copy_range, read_range, sync_folder_of},
    rotate::Gated,
    scan::scan,
};
use crate::record::csv::{Cell, Layout};

/// So many files are open at a time: a file of ten years has more days than a process may have files.
const OPEN_AT_MOST: usize = 32;

/// The new files of days.
#[derive(Debug)]
pub(super) struct Sinks {
    pub(super) days: Days,
    /// Under which rows come, with its line end.
    header: Bytes,
    layout: Layout,
    /// Of the file the rows come from.
    permissions: fs::Permissions,
    gate: GateHolder,
    /// `None`: its rows stay where they are, as something else has its name.
    by_day: BTreeMap<NaiveDate, Option<Sink>>,
    clock: u64,
}

#[derive(Clone)]
struct GateHolder(Gate);

impl std::fmt::Debug for GateHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gate")
    }
}

#[derive(Debug)]
struct Sink {
    name: DayName,
    /// How long what has the name now is; 0 for nothing.
    replaced_len: u64,
    rows: u64,
    out: Option<BufWriter<Gated>>,
    last_used: u64,
}

impl Sinks {
    /// For rows that come under `header`, whose columns are `layout`.
    pub(super) fn new(days: Days, header: Bytes, layout: Layout, permissions: fs::Permissions, gate: &Gate) -> Self {
        let gate = GateHolder(Arc::clone(gate));
        Self { days, header, layout, permissions, gate, by_day: BTreeMap::new(), clock: 0 }
    }

    /// Adds a row, or several, to the file of `day`; `false` if there can be none.
    pub(super) fn write(&mut self, day: NaiveDate, row: &[u8]) -> io::Result<bool> {
        self.clock += 1;
        if !self.by_day.contains_key(&day) {
            let sink = self.begin(day)?;
            self.by_day.insert(day, sink);
        }
        if self.by_day.get(&day).is_some_and(|sink| sink.as_ref().is_some_and(|sink| sink.out.is_none())) {
            self.make_room()?;
        }
        let (folder, gate, clock) = (&self.days.folder, &self.gate.0, self.clock);
        let Some(Some(sink)) = self.by_day.get_mut(&day) else { return Ok(false) };
        sink.last_used = clock;
        sink.rows += 1;
        let out = match &mut sink.out {
            Some(out) => out,
            none => {
                let file = OpenOptions::new().append(true).open(sink.name.new_path(folder))?;
                none.insert(buffered(file, gate))
            }
        };
        out.write_all(row)?;
        if !row.ends_with(b"\n") {
            out.write_all(b"\n")?;
        }
        Ok(true)
    }

    /// Begins the file of a day: a new one, or if the day was closed before, what came late, and this after it.
    fn begin(&mut self, day: NaiveDate) -> io::Result<Option<Sink>> {
        let closed = DayName::closed(day);
        let is_closed = closed.path(&self.days.folder).try_exists()?;
        let name = if is_closed { DayName::late(day) } else { closed };
        let path = name.path(&self.days.folder);
        let old = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => return Err(error),
        };
        // A name that cannot be written, or is taken by something else: the rows stay where they are.
        if DayName::parse(&name.to_string()) != Some(name) || path.is_dir() {
            return Ok(None);
        }
        self.make_room()?;
        (self.gate.0)("create")?;
        let new = File::create(name.new_path(&self.days.folder))?;
        new.set_permissions(self.permissions.clone())?;
        let mut out = buffered(new, &self.gate.0);
        let mut replaced_len = 0;
        if let Some(old) = old {
            replaced_len = old.metadata()?.len();
            self.copy_old(&old, replaced_len, &mut out)?;
        }
        if replaced_len == 0 {
            out.write_all(&self.header)?;
        }
        Ok(Some(Sink { name, replaced_len, rows: 0, out: Some(out), last_used: self.clock }))
    }

    /// Copies what came late before, and sees to it that more rows can follow.
    fn copy_old(&self, old: &File, len: u64, out: &mut impl Write) -> io::Result<()> {
        copy_range(old, 0, len, out)?;
        if len > 0 && read_range(old, len - 1, 1)? != b"\n" {
            out.write_all(b"\n")?;
        }
        let mut scanner = scan(old, len)?;
        let mut has_header = scanner.header().is_some();
        while let Some(item) = scanner.next_item()? {
            has_header |= matches!(item.cell, Cell::Header);
        }
        // Somebody gave it other columns: ours are named again before our rows.
        if len > 0 && (!has_header || *scanner.layout() != self.layout) {
            out.write_all(&self.header)?;
        }
        Ok(())
    }

    /// Closes the files used least recently.
    fn make_room(&mut self) -> io::Result<()> {
        while self.open().count() >= OPEN_AT_MOST {
            let Some(oldest) = self.open().min_by_key(|sink| sink.last_used).map(|sink| sink.name.day) else { break };
            if let Some(Some(sink)) = self.by_day.get_mut(&oldest)
                && let Some(mut out) = sink.out.take()
            {
                out.flush()?;
            }
        }
        Ok(())
    }

    fn open(&self) -> impl Iterator<Item = &Sink> {
        self.by_day.values().flatten().filter(|sink| sink.out.is_some())
    }

    /// Sees to it that all is on the disk; how many rows in all, and which days, in words.
    pub(super) fn finish(&mut self) -> io::Result<(u64, String)> {
        let mut rows = 0;
        for sink in self.by_day.values_mut().flatten() {
            rows += sink.rows;
            let file = match sink.out.take() {
                Some(mut out) => {
                    out.flush()?;
                    Arc::clone(&out.get_ref().file)
                }
                None => Arc::new(OpenOptions::new().append(true).open(sink.name.new_path(&self.days.folder))?),
            };
            (self.gate.0)("sync")?;
            file.sync_all()?;
        }
        let days: Vec<_> = self.by_day.iter().filter(|(_, sink)| sink.is_some()).map(|(day, _)| *day).collect();
        let which = match (days.first(), days.last()) {
            (Some(first), Some(last)) if first != last => format!("{} finished days, {first} to {last},", days.len()),
            (Some(only), _) => format!("the finished day {only}"),
            _ => "no day".to_owned(),
        };
        Ok((rows, format!("the {rows} rows of {which} were moved to {}", self.days.folder.display())))
    }

    /// The files that take names, and how long what has these names now is.
    pub(super) fn replaced(&self) -> Veil {
        self.by_day.values().flatten().map(|sink| (sink.name, sink.replaced_len)).collect()
    }

    /// Gives the new files their names.
    pub(super) fn rename(&self) -> io::Result<()> {
        let gate = &self.gate.0;
        for sink in self.by_day.values().flatten() {
            gate("rename")?;
            fs::rename(sink.name.new_path(&self.days.folder), sink.name.path(&self.days.folder))?;
        }
        gate("sync the folder")?;
        sync_folder_of(&self.days.folder.join("any"))
    }
}

fn buffered(file: File, gate: &Gate) -> BufWriter<Gated> {
    BufWriter::with_capacity(64 * 1024, Gated { file: Arc::new(file), gate: Arc::clone(gate) })
}
