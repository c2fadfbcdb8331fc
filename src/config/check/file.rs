//! Checks the files that the config names: certificates, keys, authorities, and the log's folder.

use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::proxy::config::Tls;
use crate::stage::journal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Read;
use std::path::Path as FilePath;

/// The largest PEM file that is read; a system's whole bundle of authorities has some 250 KiB.
const PEM_BYTES_MAX: u64 = 4 << 20;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    let server = Path::top().key("server");
    for (index, listen) in config.server.listen.iter().enumerate() {
        if let Some(tls) = &listen.tls {
            check_tls(tls, &server.key("listen").item(index).key("tls"), findings);
        }
    }
    if let Some(file) = &config.server.ca_file
        && let Err(flaw) = read_certificates(file)
    {
        findings.add(&server.key("ca_file"), Spot::Value, flaw.what, flaw.fix);
    }
    if let journal::config::Config::File(file) = &config.log
        && let Err(flaw) = check_log(file)
    {
        findings.add(
            &Path::top().key("log").key("file"),
            Spot::Value,
            flaw.what,
            flaw.fix,
        );
    }
}

struct Flaw {
    what: String,
    fix: &'static str,
}

fn flaw(what: impl Into<String>, fix: &'static str) -> Flaw {
    Flaw {
        what: what.into(),
        fix,
    }
}

fn check_tls(tls: &Tls, path: &Path, findings: &mut Findings<'_>) {
    let certificates = read_certificates(&tls.cert);
    let key = read_key(&tls.key);
    for (name, flaw) in [
        ("cert", certificates.as_ref().err()),
        ("key", key.as_ref().err()),
    ] {
        if let Some(flaw) = flaw {
            findings.add(&path.key(name), Spot::Value, flaw.what.as_str(), flaw.fix);
        }
    }
    let (Ok(certificates), Ok(key)) = (certificates, key) else {
        return;
    };
    let provider = rustls::crypto::ring::default_provider();
    let Err(error) = rustls::sign::CertifiedKey::from_der(certificates, key, &provider) else {
        return;
    };
    let (name, flaw) = match error {
        rustls::Error::InconsistentKeys(_) => (
            "key",
            flaw(
                "the key does not belong to the certificate",
                "name the key that the certificate was made for",
            ),
        ),
        rustls::Error::InvalidCertificate(_) => (
            "cert",
            flaw(
                "the first certificate cannot be read",
                "name a PEM file with an X.509 certificate, the server's own first",
            ),
        ),
        _ => (
            "key",
            flaw(
                "the key is of a kind that cannot be used",
                "use an ECDSA P-256, Ed25519 or RSA key of at least 2048 bits",
            ),
        ),
    };
    findings.add(&path.key(name), Spot::Value, flaw.what, flaw.fix);
}

fn read_certificates(file: &FilePath) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let pem = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(flaw(
            "the file holds no certificate",
            "name a PEM file with a part that begins -----BEGIN CERTIFICATE-----",
        )),
    }
}

fn read_key(file: &FilePath) -> Result<PrivateKeyDer<'static>, Flaw> {
    let pem = zeroize::Zeroizing::new(read(file)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        flaw(
            "the file holds no private key, or one that is encrypted",
            "name a PEM file with a part that begins -----BEGIN PRIVATE KEY-----",
        )
    })
}

fn read(path: &FilePath) -> Result<Vec<u8>, Flaw> {
    let told = |error: std::io::Error| {
        flaw(
            format!("the file cannot be read: {}", error.kind()),
            "name a file that exists and that tollgate's user may read; a relative path starts at the config file's folder",
        )
    };
    if !std::fs::metadata(path).map_err(told)?.is_file() {
        return Err(flaw(
            "this is not a file",
            "name a plain file, not a folder or a device",
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(told)?;
    file.take(PEM_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(told)?;
    Ok(bytes)
}

/// Whether the log could be opened for writing, found out without creating it.
fn check_log(path: &FilePath) -> Result<(), Flaw> {
    let writable = "name a file that tollgate's user may write; a relative path starts at the config file's folder";
    let refused = |error: std::io::Error| {
        flaw(
            format!("the log cannot be written: {}", error.kind()),
            writable,
        )
    };
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(flaw("the log is a folder", "name a file in it"));
        }
        Ok(found) if found.is_file() => {
            return std::fs::OpenOptions::new()
                .append(true)
                .open(path)
                .map(drop)
                .map_err(refused);
        }
        // A device or a pipe: to open it could wait for its other end.
        Ok(_) => return Ok(()),
        Err(_) => {}
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => FilePath::new("."),
    };
    match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(flaw("the log's folder is not a folder", writable)),
        Ok(_) if may_write(folder) => Ok(()),
        Ok(_) => Err(flaw("the log's folder may not be written", writable)),
        Err(error) => Err(flaw(
            format!("the log's folder is not there: {}", error.kind()),
            "create the folder, or name another",
        )),
    }
}

/// Whether this process may create a file in `folder`, asked of the system without trying.
fn may_write(folder: &FilePath) -> bool {
    use rustix::fs::Access;
    rustix::fs::accessat(
        rustix::fs::CWD,
        folder,
        Access::WRITE_OK | Access::EXEC_OK,
        rustix::fs::AtFlags::EACCESS,
    )
    .is_ok()
}
