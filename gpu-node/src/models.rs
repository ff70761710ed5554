//! What models are, and where they lie on disk.
//!
//! A model is its [`Manifest`]: names and hashes of files. Its id is the hash of the manifest, so that whoever
//! knows the id can tell whether they hold the model. Files are kept once, under their hash, however many
//! models share them:
//!
//! ```text
//! blobs/sha256-<hex>           a file
//! blobs/sha256-<hex>.ok        size and time of that file when it was last hashed
//! blobs/sha256-<hex>.part      a download that is not done
//! models/<model id>/manifest.pb
//! models/<model id>/files/...  links to the blobs under the manifest's names
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use candle_core::Device;
use plasma_proto::plasma::market::v1::{Manifest, ModelFile};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::config::Kernel;
use crate::engine::candle::{self, Candle, Description};
use crate::engine::{Engine, EngineError};

pub mod source;

pub use source::{Hub, Source};

/// Largest file of a model, bytes: 1 TiB.
pub const FILE_BYTES_MAX: u64 = 1 << 40;
/// All files of a model together, bytes: 4 TiB.
pub const MODEL_BYTES_MAX: u64 = 4 << 40;
/// Most files of a model.
pub const FILES_MAX: usize = 1024;
/// Longest encoded manifest, bytes.
pub const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// Longest path of a file, bytes.
pub const PATH_BYTES_MAX: usize = 512;
/// Longest of a manifest's texts, bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Bytes that are hashed at a time.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Files beside the weights that count.
const SMALL_FILES: [&str; 3] = ["config.json", "tokenizer.json", "tokenizer_config.json"];
/// Endings of weights.
const WEIGHTS: [&str; 2] = [".safetensors", ".gguf"];

/// sha256 of a manifest's bytes.
pub type ModelId = [u8; 32];

/// Why a model was not fetched, built or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest breaks a rule.
    #[error("manifest: {0}")]
    Manifest(String),
    /// The source has it not, or did not give it.
    #[error("{0}")]
    Source(String),
    /// A source gave other bytes than the manifest names.
    #[error(
        "{path}: the source gave sha256 {got}, the manifest says {expected}; it was deleted, use another source"
    )]
    Hash {
        /// Path in the manifest.
        path: String,
        /// What the manifest says, hexadecimal.
        expected: String,
        /// What came.
        got: String,
    },
    /// A file on disk is not what it was.
    #[error("{}: damaged, its bytes are no longer those of its hash; fetch the model again", .0.display())]
    Damaged(PathBuf),
    /// The cache does not hold the model.
    #[error("model {} is not in the cache {}; fetch it first", hex::encode(id), root.display())]
    Unknown {
        /// The model.
        id: ModelId,
        /// Folder of the cache.
        root: PathBuf,
    },
    /// The files are there but do not make a model.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ModelsError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// Whether a file of this name belongs to a model.
#[must_use]
pub fn counts(path: &str) -> bool {
    SMALL_FILES.contains(&path)
        || (WEIGHTS.iter().any(|end| path.ends_with(end)) && check_path(path).is_ok())
}

/// sha256 of the manifest's protobuf bytes: fields in order, nothing that may vary.
#[must_use]
pub fn model_id(manifest: &Manifest) -> ModelId {
    Sha256::digest(manifest.encode_to_vec()).into()
}

/// A path that stays below where it is put, on every system: relative, of plain names.
fn check_path(path: &str) -> Result<(), ModelsError> {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && !name.ends_with(['.', ' '])
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+ ".contains(c))
    };
    if path.len() <= PATH_BYTES_MAX && path.split('/').all(plain) {
        Ok(())
    } else {
        Err(ModelsError::Manifest(format!(
            "path {path:?} must be relative, of letters, digits, - _ . + and /, no name beginning with a dot"
        )))
    }
}

/// Checks everything that a manifest says of itself.
///
/// # Errors
/// [`ModelsError::Manifest`] naming what is wrong.
pub fn check_manifest(manifest: &Manifest) -> Result<(), ModelsError> {
    let Manifest {
        name,
        architecture,
        dtype,
        tokenizer,
        licence,
        base_model,
        context_tokens,
        template_tokens_max: _,
        files,
    } = manifest;
    let no = |what: String| Err(ModelsError::Manifest(what));
    for text in [name, architecture, dtype, tokenizer, licence] {
        if text.len() > TEXT_BYTES_MAX {
            return no(format!("a text has {} bytes; at most {TEXT_BYTES_MAX}", text.len()));
        }
    }
    if name.is_empty() || *context_tokens == 0 {
        return no("it has no name or no context".to_owned());
    }
    if !matches!(base_model.len(), 0 | 32) {
        return no("base_model must be empty or a model id of 32 bytes".to_owned());
    }
    if files.is_empty() || files.len() > FILES_MAX {
        return no(format!("{} files; there must be 1 to {FILES_MAX}", files.len()));
    }
    let mut paths = BTreeSet::new();
    let mut total = 0u64;
    for ModelFile { path, sha256, size_bytes } in files {
        check_path(path)?;
        // On some systems two names that differ in case are one.
        if !paths.insert(path.to_ascii_lowercase()) {
            return no(format!("{path} is there twice"));
        }
        if sha256.len() != 32 {
            return no(format!("{path}: a sha256 has 32 bytes"));
        }
        total = total.saturating_add(*size_bytes);
        if *size_bytes > FILE_BYTES_MAX || total > MODEL_BYTES_MAX {
            return no(format!("{path}: too large"));
        }
    }
    if manifest.encoded_len() > MANIFEST_BYTES_MAX {
        return no(format!("longer than {MANIFEST_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Reads a manifest's bytes, as they are on disk and on chain.
///
/// # Errors
/// [`ModelsError::Manifest`].
pub fn decode_manifest(bytes: &[u8]) -> Result<Manifest, ModelsError> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(ModelsError::Manifest(format!("longer than {MANIFEST_BYTES_MAX} bytes")));
    }
    let manifest =
        Manifest::decode(bytes).map_err(|error| ModelsError::Manifest(error.to_string()))?;
    check_manifest(&manifest)?;
    Ok(manifest)
}

/// Describes the model in a folder. What the files tell (architecture, context, tokens of the template) is
/// taken from them, by reading the vocabulary and the head of the weights.
///
/// # Errors
/// [`ModelsError`] when the folder holds no model that this node can run.
pub fn build_manifest(folder: &Path, name: &str, licence: &str) -> Result<Manifest, ModelsError> {
    let paths = Source::Folder(folder.to_owned()).list()?;
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let (sha256, size_bytes) = hash_file(&folder.join(&path))?;
        files.push(ModelFile { path, sha256: sha256.to_vec(), size_bytes });
    }
    let described = describe(folder, &files)?;
    let manifest = Manifest {
        name: name.to_owned(),
        licence: licence.to_owned(),
        base_model: Vec::new(),
        files,
        ..described
    };
    check_manifest(&manifest)?;
    Ok(manifest)
}

/// The fields that the files themselves decide.
fn describe(folder: &Path, files: &[ModelFile]) -> Result<Manifest, ModelsError> {
    let has_vocabulary = files.iter().any(|file| file.path == "tokenizer.json");
    let Description { config, tokenizer, dtype } = candle::describe_folder(folder)?;
    let context_tokens = u32::try_from(config.context()).unwrap_or(u32::MAX);
    Ok(Manifest {
        architecture: if config.model_type.is_empty() {
            "llama".to_owned()
        } else {
            config.model_type
        },
        dtype,
        tokenizer: if has_vocabulary { "tokenizer.json" } else { "gguf" }.to_owned(),
        context_tokens,
        template_tokens_max: tokenizer.template_tokens(),
        ..Manifest::default()
    })
}

fn hash_file(path: &Path) -> Result<([u8; 32], u64), ModelsError> {
    let io = |error| ModelsError::io(path, error);
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok((hash.finalize().into(), size)),
            n => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}

/// Models on this machine's disk.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`ModelsError::Io`].
    pub fn open(root: &Path) -> Result<Self, ModelsError> {
        for folder in [root.join("blobs"), root.join("models")] {
            fs::create_dir_all(&folder).map_err(|error| ModelsError::io(&folder, error))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    fn blob(&self, sha256: &[u8]) -> PathBuf {
        self.root.join("blobs").join(format!("sha256-{}", hex::encode(sha256)))
    }

    fn folder(&self, id: &ModelId) -> PathBuf {
        self.root.join("models").join(hex::encode(id))
    }

    /// One process at a time changes the cache.
    fn lock(&self) -> Result<File, ModelsError> {
        let path = self.root.join("lock");
        let io = |error| ModelsError::io(&path, error);
        let file = File::create(&path).map_err(io)?;
        file.lock().map_err(io)?;
        Ok(file)
    }

    /// Models that are whole, by id, ascending.
    ///
    /// # Errors
    /// [`ModelsError::Io`].
    pub fn list(&self) -> Result<Vec<(ModelId, Manifest)>, ModelsError> {
        let folder = self.root.join("models");
        let io = |error| ModelsError::io(&folder, error);
        let mut models = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            let Some(id) = name.to_str().and_then(|name| hex::decode(name).ok()?.try_into().ok())
            else {
                continue;
            };
            if let Ok(manifest) = self.manifest(&id) {
                models.push((id, manifest));
            }
        }
        models.sort_by_key(|model| model.0);
        Ok(models)
    }

    /// The manifest of a model that is here.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`] when it is not; [`ModelsError::Damaged`] when the manifest does not hash to `id`.
    pub fn manifest(&self, id: &ModelId) -> Result<Manifest, ModelsError> {
        let path = self.folder(id).join("manifest.pb");
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                let limit = MANIFEST_BYTES_MAX as u64 + 1;
                file.take(limit)
                    .read_to_end(&mut bytes)
                    .map_err(|error| ModelsError::io(&path, error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ModelsError::Unknown { id: *id, root: self.root.clone() });
            }
            Err(error) => return Err(ModelsError::io(&path, error)),
        }
        if <[u8; 32]>::from(Sha256::digest(&bytes)) != *id {
            return Err(ModelsError::Damaged(path));
        }
        decode_manifest(&bytes)
    }

    /// Brings a model's files here and checks every hash. What is here already is not fetched again; what is
    /// damaged is.
    ///
    /// # Errors
    /// [`ModelsError::Hash`] when the source gives other bytes; otherwise what the source or the disk says.
    pub fn fetch(&self, manifest: &Manifest, source: &Source) -> Result<ModelId, ModelsError> {
        check_manifest(manifest)?;
        let _lock = self.lock()?;
        for file in &manifest.files {
            let blob = self.blob(&file.sha256);
            match self.verify(file) {
                Ok(()) => continue,
                Err(ModelsError::Damaged(_)) => remove(&blob)?,
                Err(ModelsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                }
                Err(other) => return Err(other),
            }
            let part = with_ending(&blob, ".part");
            let (sha256, size) = source.fetch(&file.path, &part, Some(file.size_bytes))?;
            if sha256 != file.sha256[..] {
                remove(&part)?;
                return Err(ModelsError::Hash {
                    path: file.path.clone(),
                    expected: hex::encode(&file.sha256),
                    got: hex::encode(sha256),
                });
            }
            check_size(file, size)?;
            self.keep(&part, &sha256)?;
        }
        self.register(manifest)
    }

    /// Takes the model in a folder in, by describing and copying it.
    ///
    /// # Errors
    /// As [`build_manifest`] and [`Cache::fetch`].
    pub fn import(&self, folder: &Path, name: &str, licence: &str) -> Result<ModelId, ModelsError> {
        let manifest = build_manifest(folder, name, licence)?;
        self.fetch(&manifest, &Source::Folder(folder.to_owned()))
    }

    /// Fetches a model that has no manifest yet from a source that lists its files, and describes it.
    ///
    /// # Errors
    /// As [`build_manifest`] and [`Source::fetch`].
    pub fn pull(&self, source: &Source, name: &str, licence: &str) -> Result<ModelId, ModelsError> {
        let paths = source.list()?;
        if paths.is_empty() || paths.len() > FILES_MAX {
            return Err(ModelsError::Source(format!(
                "{} files of a model there; there must be 1 to {FILES_MAX}",
                paths.len()
            )));
        }
        let lock = self.lock()?;
        let staging = self.root.join("staging");
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(|error| ModelsError::io(&staging, error))?;
        }
        for path in &paths {
            let target = staging.join(path);
            let folder = target.parent().unwrap_or(&staging);
            fs::create_dir_all(folder).map_err(|error| ModelsError::io(folder, error))?;
            source.fetch(path, &target, None)?;
        }
        let manifest = build_manifest(&staging, name, licence)?;
        for file in &manifest.files {
            let sha256: [u8; 32] = file.sha256[..]
                .try_into()
                .map_err(|_| ModelsError::Manifest("a sha256 has 32 bytes".to_owned()))?;
            self.keep(&staging.join(&file.path), &sha256)?;
        }
        fs::remove_dir_all(&staging).map_err(|error| ModelsError::io(&staging, error))?;
        let id = self.register(&manifest)?;
        drop(lock);
        Ok(id)
    }

    /// Makes a file, whose hash was just computed, a blob.
    fn keep(&self, from: &Path, sha256: &[u8; 32]) -> Result<(), ModelsError> {
        let blob = self.blob(sha256);
        fs::rename(from, &blob).map_err(|error| ModelsError::io(&blob, error))?;
        sync_folder(&self.root.join("blobs"))?;
        self.mark(&blob)
    }

    /// Remembers that this very file was hashed.
    fn mark(&self, blob: &Path) -> Result<(), ModelsError> {
        write_atomically(&with_ending(blob, ".ok"), stamp(blob)?.as_bytes())
    }

    /// Writes the manifest and links; the manifest last, for it says that the model is whole.
    fn register(&self, manifest: &Manifest) -> Result<ModelId, ModelsError> {
        let id = model_id(manifest);
        let folder = self.folder(&id);
        for file in &manifest.files {
            let link = folder.join("files").join(&file.path);
            let parent = link.parent().unwrap_or(&folder);
            fs::create_dir_all(parent).map_err(|error| ModelsError::io(parent, error))?;
            remove(&link)?;
            let blob = self.blob(&file.sha256);
            fs::hard_link(&blob, &link).map_err(|error| ModelsError::io(&link, error))?;
        }
        write_atomically(&folder.join("manifest.pb"), &manifest.encode_to_vec())?;
        Ok(id)
    }

    /// Checks a blob by its stamp, or by its bytes when they may have changed.
    fn verify(&self, file: &ModelFile) -> Result<(), ModelsError> {
        let blob = self.blob(&file.sha256);
        let stamp = stamp(&blob)?;
        let claimed = format!("{} ", file.size_bytes);
        if stamp.starts_with(&claimed)
            && fs::read_to_string(with_ending(&blob, ".ok")).is_ok_and(|marked| marked == stamp)
        {
            return Ok(());
        }
        let (sha256, size) = hash_file(&blob)?;
        if sha256 != file.sha256[..] {
            return Err(ModelsError::Damaged(blob));
        }
        check_size(file, size)?;
        self.mark(&blob)
    }

    /// The folder that holds the model's files under their names, every one of them checked.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`] or [`ModelsError::Damaged`]; both are mended by [`Cache::fetch`].
    pub fn files(&self, id: &ModelId) -> Result<(Manifest, PathBuf), ModelsError> {
        let manifest = self.manifest(id)?;
        let folder = self.folder(id).join("files");
        for file in &manifest.files {
            self.verify(file)?;
            // A link that was replaced is another file than the blob.
            let link = folder.join(&file.path);
            if stamp(&link)? != stamp(&self.blob(&file.sha256))? {
                return Err(ModelsError::Damaged(link));
            }
        }
        Ok((manifest, folder))
    }

    /// Forgets a model, and the files that no other model needs.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`] when it is not here.
    pub fn remove(&self, id: &ModelId) -> Result<(), ModelsError> {
        let _lock = self.lock()?;
        let manifest = self.manifest(id)?;
        let folder = self.folder(id);
        fs::remove_dir_all(&folder).map_err(|error| ModelsError::io(&folder, error))?;
        let others = self.list()?;
        let needed: BTreeSet<&[u8]> = others
            .iter()
            .flat_map(|(_, other)| &other.files)
            .map(|file| &file.sha256[..])
            .collect();
        for file in manifest.files.iter().filter(|file| !needed.contains(&file.sha256[..])) {
            let blob = self.blob(&file.sha256);
            remove(&blob)?;
            remove(&with_ending(&blob, ".ok"))?;
        }
        Ok(())
    }
}

/// Loads a model from the cache onto `device`, after checking its files.
///
/// # Errors
/// [`ModelsError`] when it is not there, damaged, or not what its manifest says.
pub fn load(cache: &Cache, id: &ModelId, device: &Device) -> Result<Candle, ModelsError> {
    load_with(cache, id, device, Kernel::Candle)
}

/// As [`load`], with the kernel that is named; the referee's leaves `device` alone.
///
/// # Errors
/// As [`load`]; and for a model that the referee does not cover.
pub fn load_with(
    cache: &Cache,
    id: &ModelId,
    device: &Device,
    kernel: Kernel,
) -> Result<Candle, ModelsError> {
    let (manifest, folder) = cache.files(id)?;
    let context = manifest.context_tokens as usize;
    let engine = match kernel {
        Kernel::Candle => candle::load_folder(&folder, device, context)?,
        Kernel::Referee => candle::load_referee(&folder, context)?,
    };
    let info = engine.info();
    // Both bound what a client may be charged for.
    if info.template_tokens > manifest.template_tokens_max
        || info.context_tokens < manifest.context_tokens
    {
        return Err(ModelsError::Manifest(format!(
            "it claims a context of {} and a template of {} tokens; the files have {} and {}",
            manifest.context_tokens,
            manifest.template_tokens_max,
            info.context_tokens,
            info.template_tokens
        )));
    }
    Ok(engine)
}

/// The bytes are right; what the manifest says of their number may not be.
fn check_size(file: &ModelFile, size: u64) -> Result<(), ModelsError> {
    if size == file.size_bytes {
        return Ok(());
    }
    Err(ModelsError::Manifest(format!("{}: has {size} bytes, not {}", file.path, file.size_bytes)))
}

/// Size and time of the last change: what changes when bytes do.
fn stamp(path: &Path) -> Result<String, ModelsError> {
    let io = |error| ModelsError::io(path, error);
    let metadata = fs::metadata(path).map_err(io)?;
    let modified = metadata.modified().map_err(io)?;
    let nanos = modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    Ok(format!("{} {nanos}", metadata.len()))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), ModelsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ModelsError::io(path, error)),
        _ => Ok(()),
    }
}

/// The file is the old one or the new one, never a part.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ModelsError> {
    let temporary = with_ending(path, ".tmp");
    File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| ModelsError::io(path, error))?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), ModelsError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| ModelsError::io(folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tiny;
    use proptest::prelude::*;

    fn tiny_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
        folder
    }

    /// The id of the tests' model is known to everyone who tests against it.
    #[test]
    fn the_tiny_models_id_is_golden() {
        let folder = tiny_folder();
        fs::write(folder.path().join("README.md"), "does not count").unwrap();
        let manifest = build_manifest(folder.path(), "tiny", "Apache-2.0").unwrap();
        assert_eq!(
            manifest.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        );
        assert_eq!((manifest.architecture.as_str(), manifest.dtype.as_str()), ("llama", "f32"));
        assert_eq!(
            (manifest.context_tokens, manifest.tokenizer.as_str()),
            (1024, "tokenizer.json")
        );
        assert_eq!(
            hex::encode(model_id(&manifest)),
            "411e36059710675147defe1013103617484a740b62db29de4c3d1bed6e15273a"
        );
    }

    #[test]
    fn a_model_goes_in_and_comes_out() {
        let (folder, root) = (tiny_folder(), tempfile::tempdir().unwrap());
        let cache = Cache::open(root.path()).unwrap();
        let id = cache.import(folder.path(), "tiny", "Apache-2.0").unwrap();
        assert_eq!(cache.import(folder.path(), "tiny", "Apache-2.0").unwrap(), id);
        drop(folder);
        assert_eq!(cache.list().unwrap().len(), 1);
        let engine = load(&cache, &id, &Device::Cpu).unwrap();
        assert_eq!(engine.info().context_tokens, 1024);
        cache.remove(&id).unwrap();
        assert!(matches!(load(&cache, &id, &Device::Cpu), Err(ModelsError::Unknown { .. })));
        assert_eq!(fs::read_dir(root.path().join("blobs")).unwrap().count(), 0);
    }

    #[test]
    fn files_are_shared_and_kept_while_needed() {
        let (folder, root) = (tiny_folder(), tempfile::tempdir().unwrap());
        let cache = Cache::open(root.path()).unwrap();
        let one = cache.import(folder.path(), "one", "MIT").unwrap();
        let two = cache.import(folder.path(), "two", "MIT").unwrap();
        assert_ne!(one, two);
        cache.remove(&one).unwrap();
        load(&cache, &two, &Device::Cpu).unwrap();
    }

    #[test]
    fn damage_is_found_and_mended() {
        let (folder, root) = (tiny_folder(), tempfile::tempdir().unwrap());
        let cache = Cache::open(root.path()).unwrap();
        let id = cache.import(folder.path(), "tiny", "MIT").unwrap();
        let manifest = cache.manifest(&id).unwrap();
        let blob = cache.blob(&manifest.files[1].sha256);
        let mut bytes = fs::read(&blob).unwrap();
        bytes[5000] ^= 1;
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&blob, &bytes).unwrap();
        assert!(matches!(load(&cache, &id, &Device::Cpu), Err(ModelsError::Damaged(_))));
        cache.fetch(&manifest, &Source::Folder(folder.path().to_owned())).unwrap();
        load(&cache, &id, &Device::Cpu).unwrap();

        let link = cache.folder(&id).join("files/model.safetensors");
        fs::remove_file(&link).unwrap();
        fs::write(&link, &bytes).unwrap();
        assert!(matches!(load(&cache, &id, &Device::Cpu), Err(ModelsError::Damaged(_))));
        fs::write(cache.folder(&id).join("manifest.pb"), b"").unwrap();
        assert!(matches!(cache.manifest(&id), Err(ModelsError::Damaged(_))));
    }

    #[test]
    fn a_folder_that_changed_is_refused() {
        let (folder, root) = (tiny_folder(), tempfile::tempdir().unwrap());
        let cache = Cache::open(root.path()).unwrap();
        let manifest = build_manifest(folder.path(), "tiny", "MIT").unwrap();
        let path = folder.path().join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        let source = Source::Folder(folder.path().to_owned());
        let error = cache.fetch(&manifest, &source).unwrap_err();
        assert!(
            matches!(&error, ModelsError::Hash { path, .. } if path == "model.safetensors"),
            "{error}"
        );
        bytes.push(0);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(cache.fetch(&manifest, &source), Err(ModelsError::Source(_))));
        assert!(cache.list().unwrap().is_empty());
    }

    #[test]
    fn a_manifest_may_not_claim_less_template_than_there_is() {
        let (folder, root) = (tiny_folder(), tempfile::tempdir().unwrap());
        let cache = Cache::open(root.path()).unwrap();
        let mut manifest = build_manifest(folder.path(), "tiny", "MIT").unwrap();
        manifest.template_tokens_max -= 1;
        let id = cache.fetch(&manifest, &Source::Folder(folder.path().to_owned())).unwrap();
        assert!(matches!(load(&cache, &id, &Device::Cpu), Err(ModelsError::Manifest(_))));
    }

    #[test]
    fn a_false_size_is_refused_and_spoils_nothing() {
        let (folder, root) = (tiny_folder(), tempfile::tempdir().unwrap());
        let cache = Cache::open(root.path()).unwrap();
        let source = Source::Folder(folder.path().to_owned());
        let honest = build_manifest(folder.path(), "tiny", "MIT").unwrap();
        let mut false_size = honest.clone();
        false_size.files[0].size_bytes += 1;
        for _ in 0..2 {
            let error = cache.fetch(&false_size, &source).unwrap_err();
            assert!(matches!(error, ModelsError::Manifest(_)), "{error}");
            let id = cache.fetch(&honest, &source).unwrap();
            load(&cache, &id, &Device::Cpu).unwrap();
        }
    }

    fn with_file(path: &str) -> Manifest {
        let file = ModelFile { path: path.into(), sha256: vec![0; 32], size_bytes: 1 };
        Manifest { name: "n".into(), context_tokens: 1, files: vec![file], ..Manifest::default() }
    }

    #[test]
    fn manifests_are_checked() {
        check_manifest(&with_file("sub/model-00001-of-2.safetensors")).unwrap();
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a\\b",
            "c:x",
            ".hidden",
            "a/.",
            "a\0",
            "x ",
            "é",
        ] {
            assert!(check_manifest(&with_file(path)).is_err(), "{path:?}");
            assert!(!counts(&format!("{path}/../x.gguf")));
        }
        let mut twice = with_file("a");
        twice.files.push(ModelFile { path: "A".into(), ..twice.files[0].clone() });
        let mut large = with_file("a");
        large.files[0].size_bytes = FILE_BYTES_MAX + 1;
        let mut short = with_file("a");
        short.files[0].sha256 = vec![0; 31];
        let none = Manifest { files: vec![], ..with_file("a") };
        for bad in [twice, large, short, none] {
            assert!(check_manifest(&bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_manifest_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_manifest(&bytes);
        }

        #[test]
        fn a_good_path_stays_below(path in "[a-z./\\\\ ]{0,12}") {
            if check_path(&path).is_ok() {
                let joined = Path::new("/root").join(&path);
                let plain = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir);
                prop_assert!(joined.starts_with("/root") && joined.components().all(plain));
            }
        }
    }
}
