//! The purchases of files, for commands that only read them: nothing is written but temporary files without a name.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use nextbasket_domain::{Clock, Purchase};
use nextbasket_importer::{
    Assembler, FileLayout, FileOpener, FileRole, ImportError, ImportOptions, ImportTally, JoinedFiles,
    RecordKind, RecordScanner, ScanEnd, ScanStep, survey,
};
use nextbasket_jobs_shop::import::import_options;
use serde_json::json;

use super::inputs::{Input, Inputs};
pub(in crate::commands) use super::reading::ReadingOptions;
use crate::Failure;
use crate::step_progress::StepProgress;

/// More files than an export has are read each on its own.
const MAX_EXPORT_FILES: usize = 12;
/// The records of a file are divided by purchase into parts of about so many bytes, of which one is in memory at a time.
const PART_BYTES: u64 = 8 << 20;
const MAX_PARTS: u64 = 256;
/// The number of records between two updates of the progress.
const PROGRESS_RECORDS: u64 = 4_096;

/// What was read of all files.
#[derive(Debug, Default)]
pub(in crate::commands) struct FilesRead {
    /// What people call them.
    pub(in crate::commands) name: String,
    /// The number of their records, and of those that are no purchase or malformed.
    pub(in crate::commands) records: u64,
    pub(in crate::commands) refused: u64,
}

/// Reads the files' purchases as an import does, and passes each to `take`; purchases of one file come in no order.
///
/// # Errors
/// [`Failure`] if the options, a file or its form cannot be used, or a file is truncated.
pub(in crate::commands) async fn read(
    names: &[PathBuf],
    reading: &ReadingOptions,
    take: impl FnMut(&Purchase) -> Result<(), Failure> + Send + 'static,
) -> Result<FilesRead, Failure> {
    let parameters = reading.parameters()?.with("source", json!("/")).json();
    let options = import_options(&parameters, Clock::system().now())
        .map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    let (inputs, _spool) = Inputs::find(names)?.spool(&std::env::temp_dir()).await?;
    let reading = tokio::task::spawn_blocking(move || read_all(&inputs, &options, take));
    reading.await.map_err(Failure::other)?
}

fn read_all(
    inputs: &Inputs,
    options: &ImportOptions,
    mut take: impl FnMut(&Purchase) -> Result<(), Failure>,
) -> Result<FilesRead, Failure> {
    let mut read = FilesRead { name: inputs.name(), ..FilesRead::default() };
    for own in 0..inputs.0.len() {
        let Some(file) = PurchaseFile::open(&inputs.0, own, options)? else { continue };
        let tally = file.read(&mut take)?;
        read.records += tally.records;
        read.refused += tally.refused_records();
    }
    Ok(read)
}

/// A file with records of purchases.
struct PurchaseFile<'f> {
    input: &'f Input,
    options: &'f ImportOptions,
    joined: JoinedFiles,
    layout: FileLayout,
    bytes: u64,
}

impl<'f> PurchaseFile<'f> {
    /// `None` for a file whose columns are joined to another one's records.
    fn open(all: &'f [Input], own: usize, options: &'f ImportOptions) -> Result<Option<Self>, Failure> {
        let Some(input) = all.get(own) else { return Ok(None) };
        let failed = |error: ImportError| failed(input, &error);
        let mut joined = JoinedFiles::default();
        if (2..=MAX_EXPORT_FILES).contains(&all.len()) {
            let opener = |input: &'f Input| -> FileOpener<'f> { Box::new(move || opened(&input.path)) };
            let mut openers: Vec<FileOpener<'_>> = all.iter().map(opener).collect();
            match JoinedFiles::role(&mut openers, own, RecordKind::Purchases, options).map_err(failed)? {
                FileRole::Records(found) => joined = found,
                FileRole::JoinedTo(..) => return Ok(None),
            }
        }
        let layout = survey(&mut || opened(&input.path), &joined, RecordKind::Purchases, options);
        let bytes = input.path.metadata().map_err(Failure::of_file(&input.path))?.len();
        Ok(Some(Self { input, options, joined, layout: layout.map_err(failed)?, bytes }))
    }

    /// Sorts the records into parts, and each part's records into purchases.
    fn read(&self, take: &mut impl FnMut(&Purchase) -> Result<(), Failure>) -> Result<ImportTally, Failure> {
        let (parts, end) = self.divide()?;
        if let Some(why) = end.ended_early {
            let name = &self.input.given;
            return Err(Failure::Other(format!("{name} is truncated: {why}. Get the whole file.")));
        }
        let mut tally = end.tally;
        for part in parts {
            let mut assembler = Assembler::new(&self.layout, RecordKind::Purchases, self.options)
                .map_err(|error| failed(self.input, &error))?;
            part.records(|line, record| {
                assembler.add(line, record, &mut io::sink()).map_err(|error| failed(self.input, &error))
            })?;
            let assembled = assembler.finish();
            assembled.purchases.iter().try_for_each(&mut *take)?;
            tally += assembled.tally;
        }
        Ok(tally)
    }

    fn divide(&self) -> Result<(Vec<RecordPart>, ScanEnd), Failure> {
        let failed = |error: ImportError| failed(self.input, &error);
        let of_file = Failure::of_file(&self.input.path);
        let mut reader = opened(&self.input.path).map_err(&of_file)?;
        let start = self.layout.start();
        if self.layout.form.is_seekable() {
            io::copy(&mut (&mut reader).take(start.offset), &mut io::sink()).map_err(&of_file)?;
        }
        let layout = (&self.layout, &self.joined);
        let mut scanner = RecordScanner::resume(reader, RecordKind::Purchases, self.options, layout, &start)
            .map_err(failed)?;
        let count = (self.bytes / PART_BYTES + 1).min(MAX_PARTS);
        let mut parts: Vec<RecordPart> =
            (0..count).map(|_| RecordPart::create()).collect::<Result<_, _>>()?;
        let progress = StepProgress::of_bytes(format!("Reading {}", self.input.given), self.bytes);
        let mut records = 0_u64;
        loop {
            match scanner.step(&mut io::sink()).map_err(failed)? {
                ScanStep::Taken(record) => {
                    // The upper bits of the group, times the number of parts: even parts of any number.
                    let place = usize::try_from((u128::from(record.group) * u128::from(count)) >> 64);
                    if let Some(part) = parts.get_mut(place.unwrap_or_default()) {
                        part.add(record.line, record.record)?;
                    }
                }
                ScanStep::Refused => {}
                ScanStep::End => break,
            }
            records += 1;
            if records.is_multiple_of(PROGRESS_RECORDS) {
                let is_packed = !self.layout.form.is_seekable();
                let read = if is_packed { scanner.progress().bytes_read } else { scanner.position().offset };
                progress.set_bytes(read.min(self.bytes), records);
            }
        }
        progress.clear();
        Ok((parts, scanner.finish().map_err(failed)?))
    }
}

fn opened(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(File::open(path)?))
}

fn failed(input: &Input, error: &ImportError) -> Failure {
    Failure::Other(format!("{}: {error}", input.given))
}

/// Some of a file's records, in the file's order, in a temporary file without a name.
struct RecordPart(BufWriter<File>);

impl RecordPart {
    fn create() -> Result<Self, Failure> {
        Ok(Self(BufWriter::new(tempfile::tempfile().map_err(of_temporary)?)))
    }

    fn add(&mut self, line: u64, record: &[u8]) -> Result<(), Failure> {
        let length = record.len() as u64;
        let pieces = [&line.to_le_bytes()[..], &length.to_le_bytes(), record];
        pieces.into_iter().try_for_each(|piece| self.0.write_all(piece)).map_err(of_temporary)
    }

    fn records(self, mut take: impl FnMut(u64, &[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut file = self.0.into_inner().map_err(|error| of_temporary(error.into_error()))?;
        file.rewind().map_err(of_temporary)?;
        let end = file.metadata().map_err(of_temporary)?.len();
        let mut reader = BufReader::new(file);
        let (mut at, mut record) = (0, Vec::new());
        while at < end {
            let mut number = || -> io::Result<u64> {
                let mut bytes = [0; 8];
                reader.read_exact(&mut bytes)?;
                Ok(u64::from_le_bytes(bytes))
            };
            let (line, length) = (number().map_err(of_temporary)?, number().map_err(of_temporary)?);
            record.resize(usize::try_from(length).unwrap_or_default(), 0);
            reader.read_exact(&mut record).map_err(of_temporary)?;
            take(line, &record)?;
            at += 16 + length;
        }
        Ok(())
    }
}

fn of_temporary(error: io::Error) -> Failure {
    Failure::of_file(&std::env::temp_dir())(error)
}
