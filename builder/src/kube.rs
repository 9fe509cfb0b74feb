//! A package as a manifest for Kubernetes, and for `podman kube play`.
//!
//! Comes in: a package, and a [`Wish`]. Goes out: YAML. Each grain is a pod of its own (or a stateful set of
//! one), with a volume of its own at `/var`, closed as a grain is on one machine: read-only root, the grain's
//! user, no capabilities, the engine's filter of system calls, no token of the cluster, and a policy that
//! denies all traffic in and out. An app listens on the loopback of its pod alone; there a port is forwarded
//! to by `kubectl port-forward`, and by a proxy in the same pod. So there is no service, no list of ports
//! (podman publishes listed ones, and refuses to without a network) and no probe, which would come from
//! outside.
//!
//! Strings are written as JSON strings, which YAML takes as they are (YAML 1.2, 7.3.1).

use std::{borrow::Cow, fmt::Write as _};

use crate::{
    artifact::{Artifact, reference},
    error::Hint,
    formats::image_name::is_reference,
    image::GRAIN_ID,
    papers::{EnclosedError, enclosed_recipe},
    store::Store,
};

/// The limit of memory where neither the recipe nor the command has one.
const DEFAULT_MEMORY: &str = "512Mi";

/// The kind of object that runs a grain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One pod and a claim of a volume; podman takes it too
    Pod,
    /// A stateful set of one pod, which a cluster starts again elsewhere
    Statefulset,
}

/// The wishes for a manifest.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The kind of object.
    pub kind: Kind,
    /// The grain's name; objects are named `APP-GRAIN`.
    pub grain: String,
    /// The image, where engines find it; else the name that the OCI layout has.
    pub image: Option<String>,
    /// The size of the volume, as Kubernetes writes it (`1Gi`).
    pub volume: String,
    /// The limit of memory, as Kubernetes writes it, instead of the recipe's.
    pub memory: Option<String>,
    /// The limit of processors, as Kubernetes writes it, instead of the recipe's.
    pub cpu: Option<String>,
}

/// A manifest that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// A package without a recipe.
    #[error(transparent)]
    Enclosed(#[from] EnclosedError),
    /// A name that Kubernetes does not take.
    #[error("`{0}` cannot name an object of Kubernetes")]
    Name(String),
    /// A quantity that Kubernetes does not take.
    #[error("`{0}` is not a quantity of Kubernetes")]
    Quantity(String),
    /// A number of processors that Kubernetes does not take.
    #[error("`{0}` is not a number of processors")]
    Cpu(String),
    /// A name that is none of an image.
    #[error("`{0}` is not the name of an image")]
    Image(String),
}

impl Hint for KubeError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            KubeError::Enclosed(error) => error.hint(),
            KubeError::Name(_) => {
                Some("take lower-case letters, digits and dashes, at most 40 for the grain".into())
            }
            KubeError::Quantity(_) => Some("such as 512Mi or 2Gi".into()),
            KubeError::Cpu(_) => Some("such as 2, 0.5 or 500m, and at least 10m".into()),
            KubeError::Image(_) => Some("such as registry.example.org/cgit:1".into()),
        }
    }
}

/// Returns the manifest.
///
/// # Errors
/// [`KubeError`].
pub fn manifest(artifact: &Artifact, wish: &Wish, store: &Store) -> Result<String, KubeError> {
    let recipe = enclosed_recipe(&artifact.tree, store)?;
    let name = format!("{}-{}", recipe.app.name.replace(['.', '+'], "-"), wish.grain);
    // A label of DNS (RFC 1123), with room for what is added to it.
    let is_label = (1..=55).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !is_label {
        return Err(KubeError::Name(name));
    }
    let memory = wish.memory.clone().or_else(|| recipe.limits.memory_bytes.map(quantity));
    let memory = memory.unwrap_or_else(|| DEFAULT_MEMORY.to_owned());
    for quantity in [&wish.volume, &memory] {
        if !is_quantity(quantity) {
            return Err(KubeError::Quantity(quantity.clone()));
        }
    }
    let named = wish.cpu.as_ref().map(|cpu| cpu_millis(cpu).ok_or_else(|| KubeError::Cpu(cpu.clone())));
    let cpu_millis = named.transpose()?.or(recipe.limits.cpu_millis);
    if let Some(image) = wish.image.as_ref().filter(|image| !is_reference(image)) {
        return Err(KubeError::Image(image.clone()));
    }
    let image = wish.image.clone().unwrap_or_else(|| reference(&recipe.app.name, artifact.version()));
    let parts = Parts {
        name: &name,
        app: &recipe.app.name,
        image: &image,
        wish,
        memory,
        cpu_millis,
        tmp: format!("{}Mi", recipe.sandbox.tmp_bytes.div_ceil(1 << 20)),
    };
    let mut out = format!(
        "# {} {}, one grain.\n# podman: podman kube play --network none FILE\n",
        crate::shown::name(artifact.title()),
        crate::shown::name(artifact.version())
    );
    if let Some(web) = &recipe.web {
        let kind = if wish.kind == Kind::Pod { "pod" } else { "statefulset" };
        let _ = writeln!(out, "# Kubernetes: kubectl port-forward {kind}/{name} {0}:{0}", web.port);
    }
    match wish.kind {
        Kind::Pod => {
            out += &parts.claim();
            out += "---\napiVersion: v1\nkind: Pod\n";
            out += &parts.metadata("", &name);
            out += &format!("spec:\n{}", parts.pod("  "));
            let _ = write!(out, "    - name: var\n      persistentVolumeClaim:\n        claimName: {name}\n");
        }
        Kind::Statefulset => out += &parts.stateful_set(),
    }
    out += &parts.network();
    Ok(out)
}

/// Returns whether a text is a plain quantity: digits and a unit.
fn is_quantity(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < text.len()
        && !text.starts_with('0')
        && ["", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"].contains(&digits)
}

/// Returns a number of bytes as a quantity, in the largest unit that divides it.
fn quantity(bytes: u64) -> String {
    let units = [("Gi", 1 << 30), ("Mi", 1 << 20), ("G", 1_000_000_000), ("M", 1_000_000)];
    match units.into_iter().find(|(_, unit)| bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// Reads a number of processors as Kubernetes writes it: `2`, `0.5` or `500m`. Returns thousandths, at least 10:
/// the kernel gives no smaller share, and that much is requested.
fn cpu_millis(text: &str) -> Option<u32> {
    let millis = match text.strip_suffix('m') {
        Some(millis) => number(millis)?,
        None => {
            let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
            let digits = u32::try_from(part.len()).ok().filter(|digits| (1..=3).contains(digits))?;
            let part = number(part)? * 10_u32.pow(3 - digits);
            number(whole)?.checked_mul(1000)?.checked_add(part)?
        }
    };
    (millis >= 10).then_some(millis)
}

/// Reads digits alone.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

struct Parts<'a> {
    name: &'a str,
    app: &'a str,
    image: &'a str,
    wish: &'a Wish,
    /// The limit of memory.
    memory: String,
    /// The limit of processors, in thousandths.
    cpu_millis: Option<u32>,
    /// The size of /tmp and /run each.
    tmp: String,
}

/// Returns a string as YAML takes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Parts<'_> {
    fn metadata(&self, indent: &str, name: &str) -> String {
        format!(
            "{indent}metadata:\n{indent}  name: {}\n{}",
            quoted(name),
            self.labels(&format!("{indent}  "))
        )
    }

    fn labels(&self, indent: &str) -> String {
        format!(
            "{indent}labels:\n{indent}  app.kubernetes.io/name: {}\n{indent}  app.kubernetes.io/instance: {}\n",
            quoted(self.app),
            quoted(self.name),
        )
    }

    fn claim_spec(&self, indent: &str) -> String {
        format!(
            "{indent}accessModes: [ReadWriteOnce]\n{indent}resources:\n{indent}  requests:\n{indent}    storage: {}\n",
            quoted(&self.wish.volume)
        )
    }

    fn claim(&self) -> String {
        let head = "apiVersion: v1\nkind: PersistentVolumeClaim\n";
        format!("{head}{}spec:\n{}", self.metadata("", self.name), self.claim_spec("  "))
    }

    /// Returns the specification of the pod, up to its volumes but `/var`.
    fn pod(&self, indent: &str) -> String {
        let memory = quoted(&self.memory);
        let mut lines = vec![
            "automountServiceAccountToken: false".to_owned(),
            "enableServiceLinks: false".into(),
            "terminationGracePeriodSeconds: 30".into(),
            "securityContext:".into(),
            "  runAsNonRoot: true".into(),
            format!("  runAsUser: {GRAIN_ID}"),
            format!("  runAsGroup: {GRAIN_ID}"),
            format!("  fsGroup: {GRAIN_ID}"),
            "  seccompProfile:".into(),
            "    type: RuntimeDefault".into(),
            "containers:".into(),
            "  - name: grain".into(),
            format!("    image: {}", quoted(self.image)),
            "    imagePullPolicy: IfNotPresent".into(),
            "    securityContext:".into(),
            "      allowPrivilegeEscalation: false".into(),
            "      readOnlyRootFilesystem: true".into(),
            "      runAsNonRoot: true".into(),
            format!("      runAsUser: {GRAIN_ID}"),
            format!("      runAsGroup: {GRAIN_ID}"),
            "      capabilities:".into(),
            "        drop: [ALL]".into(),
            "    resources:".into(),
            "      requests:".into(),
            "        cpu: 10m".into(),
            format!("        memory: {memory}"),
            "      limits:".into(),
            format!("        memory: {memory}"),
        ];
        if let Some(millis) = self.cpu_millis {
            lines.push(format!("        cpu: {}", quoted(&format!("{millis}m"))));
        }
        lines.push("    volumeMounts:".into());
        for (volume, path) in [("var", "/var"), ("tmp", "/tmp"), ("run", "/run")] {
            lines.extend([format!("      - name: {volume}"), format!("        mountPath: {path}")]);
        }
        lines.push("volumes:".into());
        for volume in ["tmp", "run"] {
            lines.extend([
                format!("  - name: {volume}"),
                "    emptyDir:".into(),
                "      medium: Memory".into(),
                format!("      sizeLimit: {}", quoted(&self.tmp)),
            ]);
        }
        lines.iter().map(|line| format!("{indent}{line}\n")).collect()
    }

    fn stateful_set(&self) -> String {
        let mut out = String::from("apiVersion: apps/v1\nkind: StatefulSet\n");
        out += &self.metadata("", self.name);
        let name = quoted(self.name);
        let _ = write!(out, "spec:\n  replicas: 1\n  serviceName: {name}\n  selector:\n    matchLabels:\n");
        let _ = writeln!(out, "      app.kubernetes.io/instance: {name}");
        out += "  template:\n    metadata:\n";
        out += &self.labels("      ");
        out += "    spec:\n";
        out += &self.pod("      ");
        out += "  volumeClaimTemplates:\n    - metadata:\n        name: var\n      spec:\n";
        out + &self.claim_spec("        ")
    }

    /// Returns what closes the network.
    fn network(&self) -> String {
        let instance = quoted(self.name);
        let selector =
            format!("  podSelector:\n    matchLabels:\n      app.kubernetes.io/instance: {instance}\n");
        let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n";
        let out = format!("{policy}{}spec:\n{selector}", self.metadata("", &format!("{}-deny", self.name)));
        out + "  policyTypes: [Ingress, Egress]\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_digits_and_a_unit() {
        for (text, expected) in [
            ("512Mi", true),
            ("2Gi", true),
            ("1", true),
            ("", false),
            ("Mi", false),
            ("0", false),
            ("1 Gi", false),
            ("1Gi\nx: y", false),
        ] {
            assert_eq!(is_quantity(text), expected, "{text}");
        }
        for (bytes, expected) in
            [(512 << 20, "512Mi"), (2 << 30, "2Gi"), (200_000_000, "200M"), (8_000_001, "8000001")]
        {
            assert_eq!(quantity(bytes), expected);
            assert!(is_quantity(expected));
        }
    }

    #[test]
    fn processors_are_a_number_or_thousandths() {
        for (text, expected) in [
            ("2", Some(2000)),
            ("0.5", Some(500)),
            ("1.25", Some(1250)),
            ("500m", Some(500)),
            ("10m", Some(10)),
            ("9m", None),
            ("0", None),
            ("", None),
            ("m", None),
            (".5", None),
            ("1.", None),
            ("0.0001", None),
            ("-1", None),
            ("+1", None),
            ("4294967295", None),
            ("1m\nx: y", None),
        ] {
            assert_eq!(cpu_millis(text), expected, "{text}");
        }
    }
}
