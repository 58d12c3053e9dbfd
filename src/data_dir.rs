//! The data directory of standalone Weir: one process at a time, one format, nothing touched before both are known.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, OrFail, Outcome};

/// The format this build writes. A build that knows only older ones must not touch the directory.
const FORMAT: u32 = 1;

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// The lock ends with the process, however that ends.
    _lock: File,
}

impl DataDir {
    /// Takes the directory at `path`, creating it if it is not there.
    ///
    /// Refused, with nothing modified: one that another process holds (exit code 4), one of a newer or unreadable
    /// format, one that cannot be written.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        // Others are told where things are; they may stand elsewhere.
        let path = &std::path::absolute(path).or_fail(Exit::Failure, || format!("no directory {}", path.display()))?;
        let shown = path.display();
        create_private(path).or_fail(Exit::Failure, || format!("cannot create data directory {shown}"))?;
        // Before anything is opened for writing: a directory of another format is left as it is.
        check_format(path)?;
        if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
            let failure = Failure::text(Exit::Failure, format!("data directory {shown} is read-only"));
            return Err(failure.next("make it writable, or choose another with --data-dir"));
        }
        let lock = lock(path)?;
        // Again, now that nobody else can change it.
        if !check_format(path)? {
            write_atomically(&path.join("format"), format!("{FORMAT}\n").as_bytes(), 0o600)
                .or_fail(Exit::Failure, || format!("cannot write to data directory {shown}"))?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where `name` is in this directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // What it holds is the owner's: events, Secrets.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether the directory has the format of this build; false if it has none yet.
fn check_format(path: &Path) -> Outcome<bool> {
    let file = path.join("format");
    let shown = file.display();
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        text => text.or_fail(Exit::Failure, || format!("cannot read the format of the data directory in {shown}"))?,
    };
    let Ok(found) = text.trim().parse::<u32>() else {
        let text = format!("{shown} does not hold a format number: the data directory is damaged, or not one of weir");
        return Err(Failure::text(Exit::Failure, text).next("restore that file, or choose another with --data-dir"));
    };
    if found > FORMAT {
        let text = format!("{} has format {found}, of a newer weir; this one knows up to {FORMAT}", path.display());
        return Err(Failure::text(Exit::Failure, text).next("use that weir, or choose another with --data-dir"));
    }
    Ok(true)
}

fn lock(path: &Path) -> Outcome<File> {
    let file = path.join("lock");
    let failed = || format!("cannot lock data directory {}", path.display());
    let mut options = File::options();
    let mut lock = options.create(true).read(true).append(true).open(&file).or_fail(Exit::Failure, failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&file).unwrap_or_default();
            let holder = if holder.trim().is_empty() { String::new() } else { format!(" (process {})", holder.trim()) };
            let text = format!("data directory {} is in use by another weir{holder}", path.display());
            return Err(Failure::text(Exit::Conflict, text).next("stop that one, or choose another with --data-dir"));
        }
        Err(TryLockError::Error(error)) => return Err(error).or_fail(Exit::Failure, failed),
    }
    // For the message above only: the lock itself is the kernel's.
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).or_fail(Exit::Failure, failed)?;
    Ok(lock)
}

/// Writes a whole file or nothing, durably: readers see the old one or the new one.
pub(crate) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let written =
        File::options().create(true).write(true).truncate(true).mode(mode).open(&temporary).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            File::open(directory)?.sync_all()
        });
    if written.is_err() {
        // Best effort: what is left over is harmless.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("readable");
        let mut names: Vec<_> =
            entries.map(|it| it.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).expect("free");
        assert_eq!(names(&path), ["format", "lock"]);
        let failure = DataDir::open(&path).expect_err("taken");
        assert_eq!(failure.exit(), Exit::Conflict);
        let message = failure.to_string();
        assert!(message.contains("is in use") && message.contains(&std::process::id().to_string()), "{message}");
        drop(first);
        DataDir::open(&path).expect("free again");
    }

    #[test]
    fn another_format_is_refused_and_left_untouched() {
        let parent = tempfile::tempdir().expect("a directory");
        for (content, word) in [("99\n", "newer"), ("garbage", "damaged"), ("", "damaged")] {
            fs::write(parent.path().join("format"), content).expect("written");
            let failure = DataDir::open(parent.path()).expect_err(content);
            assert_eq!(failure.exit(), Exit::Failure);
            assert!(failure.to_string().contains(word), "{failure}");
            assert_eq!(names(parent.path()), ["format"]);
        }
    }

    #[test]
    fn a_file_appears_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("kubeconfig");
        write_atomically(&path, b"old", 0o600).expect("written");
        write_atomically(&path, b"new", 0o600).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(names(parent.path()), ["kubeconfig"]);
    }
}
