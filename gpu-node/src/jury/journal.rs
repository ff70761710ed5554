//! A juror's verdicts on disk, before anybody hears of them.
//!
//! A commitment can be opened only with the verdict and salt that it was made of. Both are written here, durably,
//! before the commitment is sent; the first that is written stands, so that a node that crashes between the two
//! commits again to the same. `jury/<audit>-<round>.verdict` is framed as a file of the outbox is. It is deleted when it is
//! older than [`KEEP_DAYS`] and the chain says that its audit has ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plasma_modules::types::{Hash, hash32};
use plasma_proto::plasma::attestation::v1::{MsgRevealVerdict, Verdict};
use prost::Message as _;

use crate::outbox::{
    KEEP_DAYS, KIND_VERDICT, OutboxError, failed, files_with, framed, read_bytes, unframed, write,
};

const TEMPORARY: &str = "write.tmp";
const ENDING: &str = ".verdict";

/// A verdict and what hides it until it is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// What the juror found.
    pub verdict: Verdict,
    /// From the system's randomness.
    pub salt: Hash,
}

/// The folder of verdicts. The node's outbox, which one process at a time has open, guards it too.
#[derive(Debug)]
pub struct Journal {
    root: PathBuf,
}

impl Journal {
    /// Opens the folder, making it if need be.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn open(root: &Path) -> Result<Self, OutboxError> {
        fs::create_dir_all(root).map_err(|source| failed(root, source))?;
        remove(&root.join(TEMPORARY))?;
        Ok(Self { root: root.to_owned() })
    }

    fn path(&self, audit_id: u64, round: u32) -> PathBuf {
        self.root.join(format!("{audit_id:020}-{round:010}{ENDING}"))
    }

    /// The verdict of a round, if there is one and it is whole.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn get(&self, audit_id: u64, round: u32) -> Result<Option<Sealed>, OutboxError> {
        let path = self.path(audit_id, round);
        let bytes = match read_bytes(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| failed(&path, source))?,
        };
        let Some((KIND_VERDICT, message)) = unframed(&bytes) else { return Ok(None) };
        let kept = MsgRevealVerdict::decode(message).ok().filter(|kept| kept.audit_id == audit_id);
        Ok(kept.and_then(|kept| Some(Sealed { verdict: kept.verdict?, salt: hash32(&kept.salt)? })))
    }

    /// Writes a verdict, durably, unless the round has one: then that one stands. Gives the one that stands.
    ///
    /// # Errors
    /// If the disk refuses: nothing may be sent then.
    pub fn create(&self, audit_id: u64, round: u32, sealed: Sealed) -> Result<Sealed, OutboxError> {
        if let Some(standing) = self.get(audit_id, round)? {
            return Ok(standing);
        }
        let path = self.path(audit_id, round);
        // What is there is damaged, and can be opened by nobody.
        remove(&path)?;
        let Sealed { verdict, salt } = sealed.clone();
        let kept = MsgRevealVerdict {
            audit_id,
            verdict: Some(verdict),
            salt: salt.to_vec(),
            ..MsgRevealVerdict::default()
        };
        let bytes = framed(KIND_VERDICT, &kept.encode_to_vec());
        let written = write(&self.root, &self.root.join(TEMPORARY), &path, &bytes);
        written.map_err(|source| failed(&path, source))?;
        Ok(sealed)
    }

    /// Audits and rounds of verdicts that were written more than [`KEEP_DAYS`] ago, in order.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn old(&self) -> Result<Vec<(u64, u32)>, OutboxError> {
        let keep = Duration::from_secs(KEEP_DAYS * 24 * 3600);
        let Some(oldest) = SystemTime::now().checked_sub(keep) else { return Ok(Vec::new()) };
        let is_old = |path: &PathBuf| {
            let written = fs::metadata(path).and_then(|metadata| metadata.modified());
            written.is_ok_and(|written| written < oldest)
        };
        let found = files_with(&self.root, ENDING)?.into_iter();
        Ok(found.filter(|(_, path)| is_old(path)).map(|(of, _)| of).collect())
    }

    /// Deletes a verdict whose audit has ended.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn forget(&self, audit_id: u64, round: u32) -> Result<(), OutboxError> {
        remove(&self.path(audit_id, round))
    }
}

fn remove(path: &Path) -> Result<(), OutboxError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(path, source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_proto::plasma::attestation::v1::Measures;

    fn sealed(salt: u8, pass: bool) -> Sealed {
        let measures = Some(Measures { tokens: 7, ..Measures::default() });
        Sealed { verdict: Verdict { pass, measures, answer: vec![salt; 64] }, salt: [salt; 32] }
    }

    #[test]
    fn the_first_verdict_stands_through_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.get(7, 0).unwrap(), None);
        assert_eq!(journal.create(7, 0, sealed(1, true)).unwrap(), sealed(1, true));
        fs::write(folder.path().join(TEMPORARY), b"half").unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.create(7, 0, sealed(2, false)).unwrap(), sealed(1, true));
        assert_eq!(journal.create(7, 1, sealed(3, false)).unwrap(), sealed(3, false));
        assert_eq!(journal.get(8, 0).unwrap(), None);
    }

    #[test]
    fn only_what_is_old_may_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        for (audit, round) in [(7, 0), (7, 1), (12, 0)] {
            journal.create(audit, round, sealed(1, true)).unwrap();
        }
        assert_eq!(journal.old().unwrap(), []);
        let long_ago = SystemTime::now() - Duration::from_secs((KEEP_DAYS * 24 + 1) * 3600);
        for (audit, round) in [(12, 0), (7, 1)] {
            let file = fs::File::open(journal.path(audit, round)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        fs::write(folder.path().join("else"), b"").unwrap();
        assert_eq!(journal.old().unwrap(), [(7, 1), (12, 0)]);
        journal.forget(7, 1).unwrap();
        journal.forget(7, 1).unwrap();
        assert_eq!(journal.old().unwrap(), [(12, 0)]);
        assert!(journal.get(7, 0).unwrap().is_some() && journal.get(12, 0).unwrap().is_some());
    }

    #[test]
    fn a_damaged_verdict_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.create(7, 0, sealed(1, true)).unwrap();
        let path = journal.path(7, 0);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(journal.get(7, 0).unwrap(), None, "byte {at}");
        }
        assert_eq!(journal.create(7, 0, sealed(2, false)).unwrap(), sealed(2, false));
    }
}
