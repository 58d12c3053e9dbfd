//! How long the disk takes to make 4 KiB durable: what the figures of `durability: fsync` are relative to.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;

use super::stats::Spread;

const ROUNDS: usize = 100;
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Milliseconds of one append of 4 KiB and its `fdatasync`, in a file of its own under `dir`.
///
/// # Errors
/// When `dir` cannot be written.
pub(super) fn sync_ms(dir: &Path) -> anyhow::Result<Spread> {
    let path = dir.join("fdatasync-probe");
    let measure = || -> std::io::Result<Vec<f64>> {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        (0..ROUNDS)
            .map(|_| {
                let begin = Instant::now();
                file.write_all(&BLOCK)?;
                file.sync_data()?;
                Ok(begin.elapsed().as_secs_f64() * 1e3)
            })
            .collect()
    };
    let taken = measure().with_context(|| format!("cannot measure the disk with {}", path.display()))?;
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Spread::of(&taken).context("the disk was not measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("tempdir");
        let taken = sync_ms(dir.path()).expect("writable");
        assert!(taken.min > 0.0 && taken.min <= taken.median && taken.median <= taken.max, "{taken:?}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
    }
}
