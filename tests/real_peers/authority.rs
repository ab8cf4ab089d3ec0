//! A certificate authority of the tests' own.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Issues certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate for `localhost` with its key, in a folder that is removed with it.
pub(crate) struct Certificate {
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// What a client needs to trust it.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn issue(&self) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .expect("the name is valid")
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        let issued = Certificate { folder: new_folder() };
        let [certificate_file, key_file] = issued.files();
        fs::write(certificate_file, certificate.pem()).expect("the certificate is written");
        fs::write(key_file, key.serialize_pem()).expect("the key is written");
        issued
    }
}

impl Certificate {
    /// The certificate and its key, as PEM.
    pub(crate) fn files(&self) -> [PathBuf; 2] {
        ["certificate.pem", "key.pem"].map(|name| self.folder.join(name))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // What is left behind is in the build's own folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn new_folder() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("real_peers-{}-{number}", process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("the folder is made");
    folder
}
