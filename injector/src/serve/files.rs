//! The injector's settings as files, and how a change in them is noticed.
//!
//! Files are polled rather than watched by the kernel: a mounted ConfigMap changes by swapping a symbolic link two
//! directories up, a Secret projected by a CSI driver may change in place, and network file systems send no events.
//! One `stat` per file and second costs nothing and sees all of them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::config::{Environment, Settings};

/// The largest file that is read: far over a ConfigMap's 1 MiB, so that a list of cluster objects fits.
const LARGEST: u64 = 64 << 20;

/// The files that make up an injector's configuration; see `--help` of `sidecar-injector serve` for their contents.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The ConfigMap `istio-sidecar-injector`, or the text of its `config` key.
    pub inject_config: PathBuf,
    /// The `values`; without it they come from the ConfigMap.
    pub values: Option<PathBuf>,
    /// The mesh configuration; without it the era's defaults.
    pub mesh_config: Option<PathBuf>,
    /// A `v1` List of Node, Namespace and ProxyConfig objects.
    pub cluster_objects: Option<PathBuf>,
    /// The revision; `None` is Istio's `default`.
    pub revision: Option<String>,
    /// What the process's environment variables say.
    pub environment: Environment,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system says no.
    #[error("{}: cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is larger than 64 MiB.
    #[error("{}: larger than {LARGEST} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not text.
    #[error("{}: not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a whole file, bounded.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ReadError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// Reads a whole text file, bounded.
pub(crate) fn read_text(path: &Path) -> Result<String, ReadError> {
    String::from_utf8(read(path)?).map_err(|_| ReadError::NotText { path: path.to_owned() })
}

impl Files {
    /// Reads all files as they are now.
    pub fn read(&self) -> Result<Settings, ReadError> {
        let optional = |path: &Option<PathBuf>| path.as_deref().map(read_text).transpose();
        Ok(Settings {
            inject_config: read_text(&self.inject_config)?,
            values: optional(&self.values)?,
            mesh_config: optional(&self.mesh_config)?,
            cluster_objects: optional(&self.cluster_objects)?,
            revision: self.revision.clone(),
            environment: self.environment.clone(),
        })
    }

    /// Reads the files that lie over other settings, all but the injector's configuration itself.
    pub(crate) fn read_over(&self, under: Settings) -> Result<Settings, ReadError> {
        let or = |path: &Option<PathBuf>, under| path.as_deref().map(read_text).transpose().map(|text| text.or(under));
        Ok(Settings {
            inject_config: under.inject_config,
            values: or(&self.values, under.values)?,
            mesh_config: or(&self.mesh_config, under.mesh_config)?,
            cluster_objects: or(&self.cluster_objects, under.cluster_objects)?,
            revision: self.revision.clone().or(under.revision),
            environment: self.environment.clone(),
        })
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let optional = [&self.values, &self.mesh_config, &self.cluster_objects];
        std::iter::once(&self.inject_config).chain(optional.into_iter().flatten()).cloned().collect()
    }
}

/// SHA-256 over all texts of the settings, in hexadecimal.
pub(crate) fn hash(settings: &Settings) -> String {
    let mut sha = Sha256::new();
    for text in [
        Some(&settings.inject_config),
        settings.values.as_ref(),
        settings.mesh_config.as_ref(),
        settings.cluster_objects.as_ref(),
    ] {
        // Length and presence are hashed too: moving a line from one file to the next is a change.
        sha.update(text.map_or(u64::MAX, |t| t.len() as u64).to_be_bytes());
        sha.update(text.map_or("", String::as_str));
    }
    sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// What a directory entry says about a file, symbolic links followed; `None` for a file that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(Option<SystemTime>, u64, u64)>>);

impl Stamp {
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        Self(
            paths
                .iter()
                .map(|path| {
                    let metadata = std::fs::metadata(path).ok()?;
                    Some((metadata.modified().ok(), metadata.len(), inode(&metadata)))
                })
                .collect(),
        )
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_alters_the_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let paths = [file.clone()];
        let absent = Stamp::of(&paths);
        std::fs::write(&file, "one").unwrap();
        let one = Stamp::of(&paths);
        assert_ne!(absent, one);
        assert_eq!(one, Stamp::of(&paths));
        std::fs::write(&file, "longer").unwrap();
        assert_ne!(one, Stamp::of(&paths));
    }

    #[cfg(unix)]
    #[test]
    fn a_swapped_directory_link_is_seen_as_kubelet_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("config"), version).unwrap();
        }
        std::os::unix::fs::symlink("v1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/config", at("config")).unwrap();
        let paths = [at("config")];
        let before = Stamp::of(&paths);
        std::os::unix::fs::symlink("v2", at("..tmp")).unwrap();
        std::fs::rename(at("..tmp"), at("..data")).unwrap();
        assert_ne!(before, Stamp::of(&paths));
    }

    #[test]
    fn unreadable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        assert!(read_text(&missing).unwrap_err().to_string().contains("missing"));
        let binary = folder.path().join("binary");
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(matches!(read_text(&binary), Err(ReadError::NotText { .. })));
    }
}
