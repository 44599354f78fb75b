//! Dumps that something has happened to.

use std::fs;
use std::path::{Path, PathBuf};

use nextbasket_testkit::Seeded;
use strum::{EnumCount, FromRepr, IntoStaticStr};

/// What has happened to one file of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount, FromRepr, IntoStaticStr)]
pub(crate) enum Damage {
    BitFlipped,
    CutOff,
    Emptied,
    Missing,
    Twice,
    Swapped,
    BytesAdded,
    LineRemoved,
    LineTwice,
    DigitChanged,
    FolderRenamed,
    Zeroed,
}

impl Damage {
    /// Copies the dump and damages a file of the copy.
    pub(crate) fn make(dump: &Path, copy: &Path, chance: &mut Seeded) -> Self {
        copy_all(dump, copy);
        let files = files(copy);
        let pick = |chance: &mut Seeded| files[chance.below(files.len() as u64) as usize].clone();
        let (file, other) = (pick(chance), pick(chance));
        let damage = Self::from_repr(chance.below(Self::COUNT as u64) as usize).unwrap();
        let content = fs::read(&file).unwrap();
        let at = chance.below(content.len().max(1) as u64) as usize;
        match damage {
            Self::BitFlipped => change(&file, |content| {
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }),
            Self::CutOff => change(&file, |content| content.truncate(at)),
            Self::Emptied => change(&file, Vec::clear),
            Self::Missing => fs::remove_file(&file).unwrap(),
            Self::Twice => {
                let name = format!("1{}", file.file_name().unwrap().to_str().unwrap());
                fs::copy(&file, file.with_file_name(name)).map(drop).unwrap();
            }
            Self::Swapped => {
                let others = fs::read(&other).unwrap();
                fs::write(&other, &content).unwrap();
                fs::write(&file, others).unwrap();
            }
            Self::BytesAdded => change(&file, |content| content.extend_from_slice(b"\n{}")),
            Self::LineRemoved => change_text(&file, |lines| {
                if !lines.is_empty() {
                    lines.remove(at % lines.len());
                }
            }),
            Self::LineTwice => change_text(&file, |lines| {
                if let Some(line) = lines.first().cloned() {
                    lines.push(line);
                }
            }),
            Self::DigitChanged => change_text(&file, |lines| {
                for line in lines {
                    *line = line.replace('1', "2");
                }
            }),
            Self::FolderRenamed => {
                let folder = file.parent().unwrap();
                fs::rename(folder, folder.with_file_name("renamed")).unwrap();
            }
            Self::Zeroed => change(&file, |content| content.iter_mut().for_each(|byte| *byte = 0)),
        }
        damage
    }

    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(file).unwrap();
    change(&mut content);
    fs::write(file, content).unwrap();
}

/// As [`change`], by lines; of what is compressed, the text is changed and compressed again.
fn change_text(file: &Path, edit: impl FnOnce(&mut Vec<String>)) {
    use std::io::{Read, Write};
    let packed = file.extension().is_some_and(|extension| extension == "gz");
    let content = fs::read(file).unwrap();
    let mut text = String::new();
    if packed {
        flate2::read::MultiGzDecoder::new(content.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(content).unwrap();
    }
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    edit(&mut lines);
    let text = lines.concat();
    if packed {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        fs::write(file, gzip.finish().unwrap()).unwrap();
    } else {
        fs::write(file, text).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn copy_all(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}
