//! The files that a command imports: named, matched by a pattern, or read from a pipe.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nextbasket_domain::digest;
use tempfile::TempDir;

use crate::Failure;

/// The name of standard input on the command line, and of its copy.
const STANDARD_INPUT: &str = "-";
const COPY_OF_STANDARD_INPUT: &str = "standard-input";
/// The names of folders for copies of pipes begin so.
const SPOOL: &str = "spool-";

/// A file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// As it was named.
    pub(super) given: String,
    /// Where the job reads it: an absolute path.
    pub(super) path: PathBuf,
    /// Whether its content can be read only once.
    is_pipe: bool,
}

/// The files to import, in their order, each of them once.
#[derive(Debug)]
pub(super) struct Inputs(pub(super) Vec<Input>);

impl Inputs {
    /// The files of these names and patterns.
    ///
    /// # Errors
    /// [`Failure`] if a file cannot be read, a name is a folder's, or nothing matches a pattern.
    pub(super) fn find(names: &[PathBuf]) -> Result<Self, Failure> {
        let (mut inputs, mut seen) = (Vec::new(), HashSet::new());
        for name in names {
            for path in matching(name)? {
                let input = Input::open(&path)?;
                if seen.insert(input.path.canonicalize().unwrap_or_else(|_| input.path.clone())) {
                    inputs.push(input);
                } else if input.is_pipe {
                    return Err(Failure::Usage(format!(
                        "{} is given twice: it can be read once",
                        input.given
                    )));
                }
            }
        }
        Ok(Self(inputs))
    }

    /// Whether the content of one of them is gone once it was read.
    pub(super) fn have_pipe(&self) -> bool {
        self.0.iter().any(|input| input.is_pipe)
    }

    /// What people call them.
    pub(super) fn name(&self) -> String {
        match self.0.as_slice() {
            [Input { given, .. }] if given == STANDARD_INPUT => "standard input".to_owned(),
            [Input { given, .. }] => given.clone(),
            inputs => format!("{} files", inputs.len()),
        }
    }

    /// The name of the input that the job reads at this path.
    pub(super) fn given<'a>(&'a self, path: &'a str) -> &'a str {
        let found = self.0.iter().find(|input| input.path.to_string_lossy() == path);
        found.map_or(path, |input| input.given.as_str())
    }

    /// The text of a failure, which begins with the path of a file, with the name that was given.
    pub(super) fn with_names(&self, failure: &str) -> String {
        let named = self.0.iter().find_map(|input| {
            let rest = failure.strip_prefix(&*input.path.to_string_lossy())?;
            // Not the path of another file that begins alike.
            rest.starts_with(": ").then(|| format!("{}{rest}", input.given))
        });
        named.unwrap_or_else(|| failure.to_owned())
    }

    /// The name of the file for their rejected lines: files of one name in different folders have different ones. `None`
    /// for a pipe, which nothing tells from another one.
    pub(super) fn refused_name(&self) -> Option<String> {
        if self.have_pipe() {
            return None;
        }
        let paths: Vec<_> = self.0.iter().map(|input| input.path.to_string_lossy()).collect();
        let first = self.0.first()?.path.file_name()?.to_string_lossy();
        let more = match self.0.len() {
            1 => String::new(),
            files => format!("-and-{}-more", files - 1),
        };
        Some(format!("{first}{more}-{}.jsonl", digest(paths.join("\n"), 4)))
    }

    /// Copies what can be read only once, into a folder of its own in `folder`: a batch may be read again.
    pub(super) async fn spool(mut self, folder: &Path) -> Result<(Self, Option<Spool>), Failure> {
        if !self.have_pipe() {
            return Ok((self, None));
        }
        let spool = Spool::new(folder).map_err(Failure::of_file(folder))?;
        for (number, input) in self.0.iter_mut().enumerate().filter(|(_, input)| input.is_pipe) {
            let (from, given) = (input.path.clone(), input.given.clone());
            let name = if given == STANDARD_INPUT {
                COPY_OF_STANDARD_INPUT.to_owned()
            } else {
                format!("pipe-{number}")
            };
            let to = spool.folder.path().join(name);
            input.path = to.clone();
            let copied = tokio::task::spawn_blocking(move || copy(&given, &from, &to)).await;
            copied.map_err(Failure::other)??;
        }
        Ok((self, Some(spool)))
    }
}

impl Input {
    fn open(name: &Path) -> Result<Self, Failure> {
        let given = name.display().to_string();
        if given == STANDARD_INPUT {
            return Ok(Self { given, path: name.to_owned(), is_pipe: true });
        }
        let metadata = fs::metadata(name).map_err(Failure::of_file(name))?;
        if metadata.is_dir() {
            let folder = given.trim_end_matches('/');
            return Err(Failure::Usage(format!(
                "{given} is a folder: name its files, such as '{folder}/*.csv'"
            )));
        }
        // Opening a pipe would wait for whoever writes it.
        if metadata.is_file() {
            File::open(name).map_err(Failure::of_file(name))?;
        }
        let path = std::path::absolute(name).map_err(Failure::of_file(name))?;
        Ok(Self { given, path, is_pipe: !metadata.is_file() })
    }
}

/// The files that a name stands for. A shell has expanded the pattern unless it was quoted.
fn matching(name: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = name.to_string_lossy();
    if !text.contains(['*', '?', '[']) || fs::symlink_metadata(name).is_ok() {
        return Ok(vec![name.to_owned()]);
    }
    let matches =
        glob::glob(&text).map_err(|error| Failure::Usage(format!("invalid pattern \"{text}\": {error}")))?;
    let paths: Vec<PathBuf> = matches
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::File { path: error.path().display().to_string(), source: error.into() })?;
    if paths.is_empty() {
        return Err(Failure::Usage(format!("no file matches \"{text}\"")));
    }
    Ok(paths)
}

fn copy(given: &str, from: &Path, to: &Path) -> Result<(), Failure> {
    let mut reader: Box<dyn Read> = if given == STANDARD_INPUT {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(from).map_err(Failure::of_file(from))?)
    };
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to).map_err(Failure::of_file(to))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(Failure::File { path: given.to_owned(), source }),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        file.write_all(piece).map_err(Failure::of_file(to))?;
    }
    Ok(())
}

/// A folder for copies of pipes, removed when it is dropped. A lock shows that its process is alive, so that what a
/// killed process has left is removed by the next one.
#[derive(Debug)]
pub(super) struct Spool {
    folder: TempDir,
    _lock: File,
}

impl Spool {
    fn new(folder: &Path) -> io::Result<Self> {
        remove_abandoned(folder)?;
        loop {
            let folder = tempfile::Builder::new().prefix(SPOOL).tempdir_in(folder)?;
            let lock = File::open(folder.path())?;
            lock.lock()?;
            // Another process may have taken it for an abandoned one before it was locked.
            if folder.path().exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }
}

fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(SPOOL.as_bytes()) || !entry.file_type()?.is_dir()
        {
            continue;
        }
        if let Ok(lock) = File::open(entry.path())
            && lock.try_lock().is_ok()
        {
            // It may be in use by a process that has removed it by now.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]
mod tests {
    use super::*;

    fn names(inputs: &Inputs) -> Vec<String> {
        inputs.0.iter().map(|input| input.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn patterns_and_names_are_files_in_order_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b.csv", "a.csv", "c.txt", "[1].csv"] {
            fs::write(at(name), "x").unwrap();
        }
        let found = Inputs::find(&[at("c.txt"), at("?.csv"), at("a.csv"), at("[1].csv")]).unwrap();
        assert_eq!(names(&found), ["c.txt", "a.csv", "b.csv", "[1].csv"]);
        assert_eq!(found.name(), "4 files");
        let failed = Inputs::find(&[at("*.json")]).unwrap_err();
        assert!(matches!(&failed, Failure::Usage(text) if text.contains("no file matches")), "{failed}");
        let failed = Inputs::find(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(failed.contains("is a folder") && failed.ends_with("/*.csv'"), "{failed}");
    }

    #[test]
    fn rejected_lines_of_files_with_one_name_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut refused = HashSet::new();
        for sub in ["a", "b"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
            fs::write(folder.path().join(sub).join("orders.csv"), "x").unwrap();
            let found = Inputs::find(&[folder.path().join(sub).join("orders.csv")]).unwrap();
            let name = found.refused_name().unwrap();
            assert!(name.starts_with("orders.csv-") && name.ends_with(".jsonl"), "{name}");
            refused.insert(name);
        }
        let both = Inputs::find(&[folder.path().join("*/orders.csv")]).unwrap();
        refused.insert(both.refused_name().unwrap());
        assert_eq!(refused.len(), 3, "{refused:?}");
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("spool-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("standard-input"), "personal").unwrap();
        let first = Spool::new(folder.path()).unwrap();
        assert!(!left.exists());
        let second = Spool::new(folder.path()).unwrap();
        assert!(first.folder.path().exists() && second.folder.path().exists());
        drop((first, second));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
