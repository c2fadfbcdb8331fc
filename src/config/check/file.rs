//! Checks the files that the config names: certificates, keys, authorities, and the log's folder.

use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::proxy::certificate::{self, CertificateError, Part, PemError};
use crate::proxy::config::Tls;
use crate::stage::journal;
use std::path::Path as FilePath;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    let server = Path::top().key("server");
    for (index, listen) in config.server.listen.iter().enumerate() {
        if let Some(tls) = &listen.tls {
            check_tls(tls, &server.key("listen").item(index).key("tls"), findings);
        }
    }
    if let Some(file) = &config.server.ca_file
        && let Err(error) = certificate::read_certificates(file)
    {
        let flaw = flaw_of_pem(&error);
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
    // Both files are looked at, so that both mistakes are told at once.
    let key = certificate::read_key(&tls.key).err();
    let error = match (certificate::read(tls), key) {
        (Err(CertificateError::Cert(cert)), Some(key)) => {
            let flaw = flaw_of_pem(&key);
            findings.add(&path.key("key"), Spot::Value, flaw.what, flaw.fix);
            CertificateError::Cert(cert)
        }
        (Err(error), _) => error,
        (Ok(_), _) => return,
    };
    let name = match error.part() {
        Part::Cert => "cert",
        Part::Key => "key",
    };
    let flaw = match &error {
        CertificateError::Cert(pem) | CertificateError::Key(pem) => flaw_of_pem(pem),
        CertificateError::Mismatch => flaw(
            error.to_string(),
            "name the key that the certificate was made for",
        ),
        CertificateError::Unreadable => flaw(
            error.to_string(),
            "name a PEM file with an X.509 certificate, the server's own first",
        ),
        CertificateError::Kind => flaw(
            error.to_string(),
            "use an ECDSA P-256, Ed25519 or RSA key of at least 2048 bits",
        ),
    };
    findings.add(&path.key(name), Spot::Value, flaw.what, flaw.fix);
}

fn flaw_of_pem(error: &PemError) -> Flaw {
    let fix = match error {
        PemError::Io(_) => {
            "name a file that exists and that tollgate's user may read; a relative path starts at the config file's folder"
        }
        PemError::NotFile => "name a plain file, not a folder or a device",
        PemError::NoCertificate => {
            "name a PEM file with a part that begins -----BEGIN CERTIFICATE-----"
        }
        PemError::NoKey => "name a PEM file with a part that begins -----BEGIN PRIVATE KEY-----",
    };
    flaw(error.to_string(), fix)
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
