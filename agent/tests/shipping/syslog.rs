//! rsyslog and syslog-ng over TLS.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::receiver::{Program, Receiver, certificate, free_port};
use crate::{Outcome, receivers, seqs_of};

/// What both have.
struct Syslog {
    dir: TempDir,
    port: u16,
    program: Program,
}

impl Syslog {
    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn config(&self) -> String {
        let (port, ca) = (self.port, self.dir.path().join("cert.pem"));
        let ca = ca.display();
        format!("{{name: s, to: syslog, url: 'tls://127.0.0.1:{port}', ca: {ca}, format: native}}")
    }
}

pub(crate) struct Rsyslog(Syslog);

impl Rsyslog {
    pub(crate) fn start() -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let (cert, key) = certificate(dir.path())?;
        let port = free_port()?;
        let (cert, key) = (cert.display(), key.display());
        let (config, pid) = (dir.path().join("rsyslog.conf"), dir.path().join("pid"));
        let (work, out) = (dir.path().display(), dir.path().join("out"));
        let modules = receivers().join("usr/lib/x86_64-linux-gnu/rsyslog");
        let text = format!(
            "global(workDirectory=\"{work}\" maxMessageSize=\"64k\" defaultNetstreamDriver=\"ossl\"
       defaultNetstreamDriverCAFile=\"{cert}\" defaultNetstreamDriverCertFile=\"{cert}\"
       defaultNetstreamDriverKeyFile=\"{key}\")
module(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")
input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")
template(name=\"t\" type=\"string\" string=\"%structured-data%\\n\")
action(type=\"omfile\" file=\"{out}\" template=\"t\")
",
            out = out.display()
        );
        std::fs::write(&config, text)?;
        let (config, pid) = (config.display().to_string(), pid.display().to_string());
        let modules = modules.display().to_string();
        let command = ["usr/sbin/rsyslogd", "-n", "-f", &config, "-i", &pid, "-M", &modules];
        let program = Program::start(&command, port)?;
        Ok(Self(Syslog { dir, port, program }))
    }
}

impl Receiver for Rsyslog {
    fn config(&self) -> String {
        self.0.config()
    }

    fn kill(&mut self) -> Outcome<()> {
        self.0.program.kill()?;
        // It does not start where one that was killed has left its number.
        let _ = std::fs::remove_file(self.0.dir.path().join("pid"));
        Ok(())
    }

    fn revive(&mut self) -> Outcome<()> {
        self.0.program.revive()
    }

    fn stored(&self) -> Outcome<Vec<u64>> {
        Ok(seqs_of(&self.0.out()))
    }
}

pub(crate) struct SyslogNg(Syslog);

impl SyslogNg {
    pub(crate) fn start() -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let (cert, key) = certificate(dir.path())?;
        let port = free_port()?;
        let (cert, key) = (cert.display(), key.display());
        let path = |name: &str| dir.path().join(name).display().to_string();
        let text = format!(
            "@version: 3.38
options {{ keep-hostname(yes); log-msg-size(65536); stats-freq(0); }};
source s {{ syslog(ip(127.0.0.1) port({port}) transport(\"tls\")
  tls(key-file(\"{key}\") cert-file(\"{cert}\") peer-verify(optional-untrusted))); }};
destination d {{ file(\"{out}\" template(\"${{SDATA}}\\n\")); }};
log {{ source(s); destination(d); flags(flow-control); }};
",
            out = path("out")
        );
        let config = path("syslog-ng.conf");
        std::fs::write(&config, text)?;
        let modules = receivers().join("usr/lib/syslog-ng/3.38").display().to_string();
        let module_path = format!("--module-path={modules}");
        let command = [
            "usr/sbin/syslog-ng",
            "--foreground",
            "--no-caps",
            &format!("--cfgfile={config}"),
            &format!("--persist-file={}", path("persist")),
            &format!("--pidfile={}", path("pid")),
            &format!("--control={}", path("ctl")),
            &module_path,
        ];
        let program = Program::start(&command, port)?;
        Ok(Self(Syslog { dir, port, program }))
    }
}

impl Receiver for SyslogNg {
    fn config(&self) -> String {
        self.0.config()
    }

    fn kill(&mut self) -> Outcome<()> {
        self.0.program.kill()
    }

    fn revive(&mut self) -> Outcome<()> {
        self.0.program.revive()
    }

    fn stored(&self) -> Outcome<Vec<u64>> {
        Ok(seqs_of(&self.0.out()))
    }
}
