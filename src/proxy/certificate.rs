//! A listener's certificate and key, which can be changed while the listener serves.

use super::config::Tls;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// The largest PEM file that is read; a system's whole bundle of authorities has some 250 KiB.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// What every handshake of one listener is answered with from now on.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

/// Which of the two files is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Cert,
    Key,
}

/// Why a certificate and its key cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    #[error("the certificate: {0}")]
    Cert(PemError),
    #[error("the key: {0}")]
    Key(PemError),
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("the first certificate cannot be read")]
    Unreadable,
    #[error("the key is of a kind that cannot be used")]
    Kind,
}

/// Why a PEM file does not give what is looked for in it.
#[derive(Debug, Error)]
pub enum PemError {
    #[error("the file cannot be read: {0}")]
    Io(io::ErrorKind),
    #[error("this is not a file")]
    NotFile,
    #[error("the file holds no certificate")]
    NoCertificate,
    #[error("the file holds no private key, or one that is encrypted")]
    NoKey,
}

impl CertificateError {
    pub const fn part(&self) -> Part {
        match self {
            Self::Cert(_) | Self::Unreadable => Part::Cert,
            Self::Key(_) | Self::Mismatch | Self::Kind => Part::Key,
        }
    }
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be used, or they do not belong together.
    pub fn load(tls: &Tls) -> Result<Arc<Self>, CertificateError> {
        let key = read(tls)?;
        Ok(Arc::new(Self(ArcSwap::new(key))))
    }

    /// Connections that begin from now on get this one, as [`read`] gave it.
    pub fn set(&self, key: Arc<CertifiedKey>) {
        self.0.store(key);
    }

    /// Reads the files again, which may be others than before. What cannot be used changes nothing.
    ///
    /// # Errors
    /// As [`Certificate::load`].
    pub fn reload(&self, tls: &Tls) -> Result<(), CertificateError> {
        read(tls).map(|key| self.set(key))
    }

    /// How a listener with this certificate speaks TLS: 1.2 and 1.3, and in it HTTP/2 before 1.1.
    ///
    /// # Errors
    /// The process's cryptography knows neither version.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(&[&TLS12, &TLS13])?;
        let config = config.with_no_client_auth();
        let mut config = config.with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// What the two files hold, ready to be used.
///
/// # Errors
/// One of them cannot be used, or they do not belong together.
pub fn read(tls: &Tls) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = read_certificates(&tls.cert).map_err(CertificateError::Cert)?;
    let key = read_key(&tls.key).map_err(CertificateError::Key)?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(key) => Ok(Arc::new(key)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch),
        Err(rustls::Error::InvalidCertificate(_)) => Err(CertificateError::Unreadable),
        Err(_) => Err(CertificateError::Kind),
    }
}

/// All certificates of a file; at least one.
///
/// # Errors
/// There is none, or the file cannot be read.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let pem = read_file(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(PemError::NoCertificate),
    }
}

/// The first private key of a file.
///
/// # Errors
/// There is none, or the file cannot be read.
pub fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let pem = Zeroizing::new(read_file(file)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| PemError::NoKey)
}

fn read_file(path: &Path) -> Result<Vec<u8>, PemError> {
    let told = |error: io::Error| PemError::Io(error.kind());
    if !std::fs::metadata(path).map_err(told)?.is_file() {
        return Err(PemError::NotFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(told)?;
    file.take(PEM_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(told)?;
    Ok(bytes)
}
