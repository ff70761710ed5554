//! Answers on disk before they are sent.
//!
//! An answer to an assignment is a receipt or a decline. It is written here, durably, before anything leaves the
//! machine, and sent from here until the chain has it. Whatever happens in between, a power failure included,
//! one assignment never gets two different receipts: a file once written is never replaced, and a file that is
//! no longer what was written locks its assignment for good (all that may follow is a decline).
//!
//! ```text
//! outbox/<job>-<attempt>.answer      to be sent
//! outbox/done/<job>-<attempt>.answer settled one way or the other; kept for some days
//! outbox/damaged/...                 files that were not what was written
//! outbox/evidence/<job>-<attempt>.evidence  what a receipt's root stands for, to be shown on demand; kept as long
//! ```
//! A file is `XPLOUT01`, the kind (1 receipt, 2 decline, 3 evidence, 4 a juror's verdict), the message's length (be32), its protobuf bytes
//! and the sha256 of all that. Evidence is on disk before its receipt is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use plasma_modules::types::sha256;
use plasma_proto::plasma::attestation::v1::{Evidence, MsgSubmitReceipt};
use plasma_proto::plasma::market::v1::MsgDeclineJob;
use prost::Message as _;
use prost_types::Any;

use crate::client::any;

/// How long settled answers, evidence and verdicts are kept, days: longer than any job can be questioned on a chain with
/// the default windows. On one whose dispute window and time to show evidence together are longer, evidence may be gone
/// when it is asked for.
pub const KEEP_DAYS: u64 = 7;
/// Answers that may wait; with more, no new work is begun.
pub const WAITING_MAX: usize = 4096;
/// Largest file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
const MAGIC: &[u8; 8] = b"XPLOUT01";
const HEAD_BYTES: usize = 13;
const HASH_BYTES: usize = 32;
const KIND_RECEIPT: u8 = 1;
const KIND_DECLINE: u8 = 2;
const KIND_EVIDENCE: u8 = 3;
/// Of a juror's verdict, which lies in a folder of its own.
pub(crate) const KIND_VERDICT: u8 = 4;
const ENDING: &str = ".answer";
const EVIDENCE: &str = "evidence";
const EVIDENCE_ENDING: &str = ".evidence";
/// How often what is too old is looked for.
const FORGET_EVERY: Duration = Duration::from_secs(24 * 3600);
const TEMPORARY: &str = "write.tmp";
const LOCK: &str = "lock";
/// How long another process may take to let go: one that was just killed needs a moment.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Job and attempt.
pub type Assignment = (u64, u32);

/// What the chain is told of an assignment. Who carries it is filled in when it is sent: no signature covers that.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all answers are receipts")]
pub enum Answer {
    /// It was done, or cannot be.
    Receipt(MsgSubmitReceipt),
    /// Another provider is to do it.
    Decline(MsgDeclineJob),
}

impl Answer {
    /// The assignment that it answers.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        match self {
            Self::Receipt(msg) => {
                msg.receipt.as_ref().map_or((0, 0), |receipt| (receipt.job_id, receipt.attempt))
            }
            Self::Decline(msg) => (msg.job_id, msg.attempt),
        }
    }

    /// As a message of a transaction that `carrier` sends.
    #[must_use]
    pub fn message(&self, carrier: &str) -> Any {
        let carrier = carrier.to_owned();
        match self {
            Self::Receipt(msg) => any(&MsgSubmitReceipt { carrier, ..msg.clone() }),
            Self::Decline(msg) => any(&MsgDeclineJob { carrier, ..msg.clone() }),
        }
    }

    /// `receipt` or `decline`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Receipt(_) => "receipt",
            Self::Decline(_) => "decline",
        }
    }

    /// As a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, message) = match self {
            Self::Receipt(msg) => (KIND_RECEIPT, msg.encode_to_vec()),
            Self::Decline(msg) => (KIND_DECLINE, msg.encode_to_vec()),
        };
        framed(kind, &message)
    }

    /// From a file's bytes; `None` if a single one is missing or changed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match unframed(bytes)? {
            (KIND_RECEIPT, message) => MsgSubmitReceipt::decode(message).ok().map(Self::Receipt),
            (KIND_DECLINE, message) => MsgDeclineJob::decode(message).ok().map(Self::Decline),
            _ => None,
        }
    }
}

/// A message as a file.
pub(crate) fn framed(kind: u8, message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + message.len() + HASH_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(kind);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(message);
    let hash = sha256(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

/// Kind and message of a file; `None` if a single byte of it is missing or changed.
pub(crate) fn unframed(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (body, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
    if sha256(body) != *hash {
        return None;
    }
    let (head, message) = body.split_first_chunk::<HEAD_BYTES>()?;
    let [magic @ .., kind, a, b, c, d] = head;
    let len = u32::from_be_bytes([*a, *b, *c, *d]);
    let fits = magic == MAGIC && usize::try_from(len) == Ok(message.len());
    fits.then_some((*kind, message))
}

/// Why an answer was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("another gpu-node uses {}: stop it first", .0.display())]
    Locked(PathBuf),
    /// The assignment had an answer whose file is damaged; it may have been sent. Only a decline may follow.
    #[error(
        "job {0} attempt {1} had an answer that the disk has damaged: it can only be declined now"
    )]
    Damaged(u64, u32),
    /// More bytes than a file may have.
    #[error("answer for job {0} attempt {1} is too large")]
    TooLarge(u64, u32),
}

#[derive(Debug, Default)]
struct Contents {
    waiting: BTreeMap<Assignment, Answer>,
    done: BTreeSet<Assignment>,
    damaged: BTreeSet<Assignment>,
    /// When what is too old was last looked for.
    forgot: Option<Instant>,
}

/// The folder of answers. One process at a time.
#[derive(Debug)]
pub struct Outbox {
    root: PathBuf,
    contents: Mutex<Contents>,
    _lock: File,
}

impl Outbox {
    /// Opens the folder, making it if need be, and reads what waits there. Files that are not what was written
    /// are moved away, with an error in the log; settled ones older than [`KEEP_DAYS`] are deleted.
    ///
    /// # Errors
    /// [`OutboxError::Locked`] if another process has it open.
    pub fn open(root: &Path) -> Result<Self, OutboxError> {
        for folder in ["", "done", "damaged", EVIDENCE].map(|folder| root.join(folder)) {
            fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        }
        let path = root.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed(&path, source))?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT => {
                    thread::sleep(LOCK_POLL)
                }
                Err(TryLockError::WouldBlock) => return Err(OutboxError::Locked(root.to_owned())),
                Err(TryLockError::Error(source)) => return Err(failed(&path, source)),
            }
        }
        // Left by a crash while it was written: nothing of it was sent.
        let temporary = root.join(TEMPORARY);
        match fs::remove_file(&temporary) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&temporary, source));
            }
            _ => {}
        }
        let mut contents = Contents::default();
        for (assignment, path) in files(root)? {
            match read(&path).map_err(|source| failed(&path, source))? {
                Some(answer) if answer.assignment() == assignment => {
                    contents.waiting.insert(assignment, answer);
                }
                _ => {
                    let (job_id, attempt) = assignment;
                    tracing::error!(
                        job_id, attempt, file = %path.display(),
                        "an answer on disk is damaged: the disk may be failing; the job will be declined"
                    );
                    put_aside(root, &path, "damaged")?;
                }
            }
        }
        contents.done =
            files(&root.join("done"))?.into_iter().map(|(assignment, _)| assignment).collect();
        forget(root, &mut contents)?;
        contents.damaged =
            files(&root.join("damaged"))?.into_iter().map(|(assignment, _)| assignment).collect();
        Ok(Self { root: root.to_owned(), contents: Mutex::new(contents), _lock: lock })
    }

    /// What waits in a folder, without opening it; for a look while a node runs. `None` stands for a damaged file.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn peek(root: &Path) -> Result<Vec<(Assignment, Option<Answer>)>, OutboxError> {
        let mut found = Vec::new();
        for (assignment, path) in files(root)? {
            match read(&path) {
                Ok(answer) => found.push((assignment, answer)),
                // Sent meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed(&path, source)),
            }
        }
        for (assignment, _) in files(&root.join("damaged"))? {
            found.push((assignment, None));
        }
        Ok(found)
    }

    /// Writes an answer, durably, unless the assignment has one: then that one stands. Gives the one that stands.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] for a receipt where an answer was lost; else if the disk refuses: then nothing may
    /// be sent.
    pub fn create(&self, answer: Answer) -> Result<Answer, OutboxError> {
        self.create_with(answer, None)
    }

    /// As [`Self::create`], with the evidence that the answer's root stands for: it is on disk first.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_with(
        &self,
        answer: Answer,
        evidence: Option<&Evidence>,
    ) -> Result<Answer, OutboxError> {
        let assignment = answer.assignment();
        let (job_id, attempt) = assignment;
        let mut contents = self.contents();
        if let Some(standing) = contents.waiting.get(&assignment) {
            return Ok(standing.clone());
        }
        if contents.damaged.contains(&assignment) && matches!(answer, Answer::Receipt(_)) {
            return Err(OutboxError::Damaged(job_id, attempt));
        }
        if contents.done.contains(&assignment) {
            let path = self.root.join("done").join(name(assignment));
            let standing = read(&path).map_err(|source| failed(&path, source))?;
            return standing.ok_or(OutboxError::Damaged(job_id, attempt));
        }
        let bytes = answer.to_bytes();
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(OutboxError::TooLarge(job_id, attempt));
        }
        let temporary = self.root.join(TEMPORARY);
        if let Some(evidence) = evidence {
            let bytes = framed(KIND_EVIDENCE, &evidence.encode_to_vec());
            if bytes.len() as u64 > FILE_BYTES_MAX {
                return Err(OutboxError::TooLarge(job_id, attempt));
            }
            let folder = self.root.join(EVIDENCE);
            let path = folder.join(evidence_name(assignment));
            // There is no answer, so what is there belongs to none.
            let written = match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => Err(source),
                _ => write(&folder, &temporary, &path, &bytes),
            };
            written.map_err(|source| failed(&path, source))?;
        }
        let path = self.root.join(name(assignment));
        let written = write(&self.root, &temporary, &path, &bytes);
        if let Err(source) = written {
            let _ = fs::remove_file(&temporary);
            if path.symlink_metadata().is_ok() {
                // It has its name, but the folder may not be on disk: what a crash leaves cannot be told.
                put_aside(&self.root, &path, "damaged")?;
                contents.damaged.insert(assignment);
            }
            return Err(failed(&path, source));
        }
        contents.waiting.insert(assignment, answer.clone());
        Ok(answer)
    }

    /// Whether the assignment has an answer, sent or not.
    #[must_use]
    pub fn has(&self, assignment: Assignment) -> bool {
        let contents = self.contents();
        contents.waiting.contains_key(&assignment) || contents.done.contains(&assignment)
    }

    /// Every assignment that has an answer.
    #[must_use]
    pub fn answered(&self) -> BTreeSet<Assignment> {
        let contents = self.contents();
        contents.waiting.keys().chain(&contents.done).copied().collect()
    }

    /// Assignments whose answer the disk has damaged and that have no other: to be declined.
    #[must_use]
    pub fn damaged(&self) -> Vec<Assignment> {
        let contents = self.contents();
        let open =
            |it: &&Assignment| !contents.waiting.contains_key(it) && !contents.done.contains(it);
        contents.damaged.iter().filter(open).copied().collect()
    }

    /// What waits to be sent, in order of jobs.
    #[must_use]
    pub fn waiting(&self) -> Vec<Answer> {
        self.contents().waiting.values().cloned().collect()
    }

    /// How many wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.contents().waiting.len()
    }

    /// The chain has the answer, or wants it no longer.
    ///
    /// # Errors
    /// If the disk refuses; the answer then waits on, which does no harm.
    pub fn settle(&self, assignment: Assignment) -> Result<(), OutboxError> {
        let mut contents = self.contents();
        if !contents.waiting.contains_key(&assignment) {
            return Ok(());
        }
        put_aside(&self.root, &self.root.join(name(assignment)), "done")?;
        contents.waiting.remove(&assignment);
        contents.done.insert(assignment);
        if contents.forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            forget(&self.root, &mut contents)?;
        }
        Ok(())
    }

    /// What the receipt for an assignment stands on, if it is kept here and whole. Needs no open outbox.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn evidence(root: &Path, assignment: Assignment) -> Result<Option<Evidence>, OutboxError> {
        let path = root.join(EVIDENCE).join(evidence_name(assignment));
        let bytes = match read_bytes(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| failed(&path, source))?,
        };
        Ok(match unframed(&bytes) {
            Some((KIND_EVIDENCE, message)) => Evidence::decode(message).ok(),
            _ => None,
        })
    }

    /// As [`Self::evidence`], for the last attempt at a job that has any.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn evidence_of_job(root: &Path, job_id: u64) -> Result<Option<Evidence>, OutboxError> {
        let attempts = files_with(&root.join(EVIDENCE), EVIDENCE_ENDING)?;
        let last = attempts.into_iter().rfind(|((job, _), _)| *job == job_id);
        last.map_or(Ok(None), |(assignment, _)| Self::evidence(root, assignment))
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn failed(path: &Path, source: io::Error) -> OutboxError {
    OutboxError::Io { path: path.to_owned(), source }
}

/// Deletes settled answers and evidence that are too old; what waits keeps its own.
fn forget(root: &Path, contents: &mut Contents) -> Result<(), OutboxError> {
    contents.forgot = Some(Instant::now());
    let keep = Duration::from_secs(KEEP_DAYS * 24 * 3600);
    let Some(oldest) = SystemTime::now().checked_sub(keep) else { return Ok(()) };
    let settled = files(&root.join("done"))?.into_iter().map(|(of, path)| (of, path, true));
    let evidence = files_with(&root.join(EVIDENCE), EVIDENCE_ENDING)?;
    let evidence = evidence.into_iter().map(|(of, path)| (of, path, false));
    for (assignment, path, is_answer) in settled.chain(evidence) {
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let is_old = written.is_ok_and(|written| written < oldest);
        if is_old && !contents.waiting.contains_key(&assignment) {
            fs::remove_file(&path).map_err(|source| failed(&path, source))?;
            if is_answer {
                contents.done.remove(&assignment);
            }
        }
    }
    Ok(())
}

/// Numbers padded, so that names sort as numbers do.
fn name((job_id, attempt): Assignment) -> String {
    format!("{job_id:020}-{attempt:010}{ENDING}")
}

fn evidence_name((job_id, attempt): Assignment) -> String {
    format!("{job_id:020}-{attempt:010}{EVIDENCE_ENDING}")
}

fn assignment(name: &str, ending: &str) -> Option<Assignment> {
    let (job_id, attempt) = name.strip_suffix(ending)?.split_once('-')?;
    Some((job_id.parse().ok()?, attempt.parse().ok()?))
}

/// The answers of a folder; none if there is no folder.
fn files(folder: &Path) -> Result<Vec<(Assignment, PathBuf)>, OutboxError> {
    files_with(folder, ENDING)
}

pub(crate) fn files_with(
    folder: &Path,
    ending: &str,
) -> Result<Vec<(Assignment, PathBuf)>, OutboxError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| failed(folder, source))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed(folder, source))?;
        let name = entry.file_name();
        if let Some(assignment) = name.to_str().and_then(|name| assignment(name, ending)) {
            found.push((assignment, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// `None` for a file that is not what was written.
fn read(path: &Path) -> io::Result<Option<Answer>> {
    Ok(Answer::from_bytes(&read_bytes(path)?))
}

pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file is whole under its name after this, or was never there. Linked, not renamed: that replaces nothing.
pub(crate) fn write(root: &Path, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::hard_link(temporary, path)?;
    sync_folder(root)?;
    fs::remove_file(temporary)
}

fn put_aside(root: &Path, path: &Path, folder: &str) -> Result<(), OutboxError> {
    let folder = root.join(folder);
    let target = folder.join(path.file_name().unwrap_or_default());
    fs::rename(path, &target)
        .and_then(|()| sync_folder(&folder))
        .and_then(|()| sync_folder(root))
        .map_err(|source| failed(path, source))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
