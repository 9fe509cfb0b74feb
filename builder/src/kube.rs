//! A package as a manifest for Kubernetes, and for `podman kube play`.
//!
//! Comes in: a package, and a [`Wish`]. Goes out: a [`Manifest`], as YAML or JSON. Each grain is a pod of its own (or a stateful set of
//! one), with a volume of its own at `/var`, closed as a grain is on one machine: read-only root, the grain's
//! user, no capabilities, the engine's filter of system calls, no token of the cluster, and a policy that
//! denies all traffic in and out. An app listens on the loopback of its pod alone; there a port is forwarded
//! to by `kubectl port-forward`, and by a proxy in the same pod. So there is no service, no list of ports
//! (podman publishes listed ones, and refuses to without a network) and no probe, which would come from
//! outside.
//!
//! Strings that are no plain words are written as JSON strings, which YAML takes as they are (YAML 1.2, 7.3.1).

use std::borrow::Cow;

use serde_json::{Value, json};

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

/// A manifest: the objects that run a grain.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What a person should know, a line each.
    notes: Vec<String>,
    objects: Vec<Value>,
}

impl Manifest {
    /// Returns it as YAML: a document for each object.
    pub fn yaml(&self) -> String {
        let mut out: String = self.notes.iter().map(|note| format!("# {note}\n")).collect();
        for (at, object) in self.objects.iter().enumerate() {
            out += if at > 0 { "---\n" } else { "" };
            write_yaml(&mut out, object, 0);
        }
        out
    }

    /// Returns it as JSON: a list of the objects, as kubectl takes it (`v1`, `List`).
    pub fn json(&self) -> Value {
        json!({ "apiVersion": "v1", "kind": "List", "items": self.objects })
    }
}

/// Returns a text, number or truth value as YAML takes it: a text in quotes, unless it is a word that can be
/// nothing else.
fn scalar(value: &Value) -> String {
    const NO_TEXTS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_word = |text: &&str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./".contains(&byte))
            && !NO_TEXTS.contains(&&*text.to_ascii_lowercase())
    };
    value.as_str().filter(is_word).map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes a table or a list as YAML, each line with so many blanks before it.
fn write_yaml(out: &mut String, value: &Value, indent: usize) {
    let below = |out: &mut String, value: &Value| match value {
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write_yaml(out, value, indent + 2);
        }
        value => *out += &format!(" {}\n", scalar(value)),
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            *out += &format!("{:indent$}{name}:", "");
            below(out, value);
        }),
        Value::Array(items) => items.iter().for_each(|item| match item {
            Value::Object(_) => {
                let start = out.len();
                write_yaml(out, item, indent + 2);
                out.replace_range(start + indent..start + indent + 1, "-");
            }
            item => *out += &format!("{:indent$}- {}\n", "", scalar(item)),
        }),
        _ => {}
    }
}

/// Returns the manifest.
///
/// # Errors
/// [`KubeError`].
pub fn manifest(artifact: &Artifact, wish: &Wish, store: &Store) -> Result<Manifest, KubeError> {
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
    let (title, version) = (crate::shown::name(artifact.title()), crate::shown::name(artifact.version()));
    let mut notes =
        vec![format!("{title} {version}, one grain."), "podman: podman kube play --network none FILE".into()];
    if let Some(web) = &recipe.web {
        let kind = if wish.kind == Kind::Pod { "pod" } else { "statefulset" };
        notes.push(format!("Kubernetes: kubectl port-forward {kind}/{name} {0}:{0}", web.port));
    }
    let mut objects = match wish.kind {
        Kind::Pod => vec![parts.claim(), parts.lone_pod()],
        Kind::Statefulset => vec![parts.stateful_set()],
    };
    objects.push(parts.network());
    Ok(Manifest { notes, objects })
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

impl Parts<'_> {
    fn metadata(&self, name: &str) -> Value {
        json!({ "name": name, "labels": self.labels() })
    }

    fn labels(&self) -> Value {
        json!({ "app.kubernetes.io/name": self.app, "app.kubernetes.io/instance": self.name })
    }

    /// Returns what finds the pod.
    fn selector(&self) -> Value {
        json!({ "matchLabels": { "app.kubernetes.io/instance": self.name } })
    }

    fn claim_spec(&self) -> Value {
        json!({
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": self.wish.volume } },
        })
    }

    fn claim(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": self.metadata(self.name),
            "spec": self.claim_spec(),
        })
    }

    /// Returns the specification of the pod, with further volumes.
    fn pod(&self, more_volumes: &[Value]) -> Value {
        let mut limits = json!({ "memory": self.memory });
        if let Some(millis) = self.cpu_millis {
            limits["cpu"] = format!("{millis}m").into();
        }
        let mounts = [("var", "/var"), ("tmp", "/tmp"), ("run", "/run")];
        let in_memory =
            |name: &str| json!({ "name": name, "emptyDir": { "medium": "Memory", "sizeLimit": self.tmp } });
        let mut volumes = vec![in_memory("tmp"), in_memory("run")];
        volumes.extend_from_slice(more_volumes);
        json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": GRAIN_ID,
                "runAsGroup": GRAIN_ID,
                "fsGroup": GRAIN_ID,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "grain",
                "image": self.image,
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "runAsNonRoot": true,
                    "runAsUser": GRAIN_ID,
                    "runAsGroup": GRAIN_ID,
                    "capabilities": { "drop": ["ALL"] },
                },
                "resources": { "requests": { "cpu": "10m", "memory": self.memory }, "limits": limits },
                "volumeMounts": mounts.map(|(name, path)| json!({ "name": name, "mountPath": path })),
            }],
            "volumes": volumes,
        })
    }

    fn lone_pod(&self) -> Value {
        let claim = json!({ "name": "var", "persistentVolumeClaim": { "claimName": self.name } });
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.metadata(self.name),
            "spec": self.pod(&[claim]),
        })
    }

    fn stateful_set(&self) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": self.metadata(self.name),
            "spec": {
                "replicas": 1,
                "serviceName": self.name,
                "selector": self.selector(),
                "template": { "metadata": { "labels": self.labels() }, "spec": self.pod(&[]) },
                "volumeClaimTemplates": [{ "metadata": { "name": "var" }, "spec": self.claim_spec() }],
            },
        })
    }

    /// Returns what closes the network.
    fn network(&self) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self.metadata(&format!("{}-deny", self.name)),
            "spec": { "podSelector": self.selector(), "policyTypes": ["Ingress", "Egress"] },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_blocks_with_quoted_texts() {
        let manifest = Manifest {
            notes: vec!["note".into()],
            objects: vec![
                json!({ "a": { "b": ["x: y", 1, "Pod", "No", "1"], "c": true } }),
                json!({ "list": [{ "n": "\"\n", "o": [{ "p": {"q": 2} }] }] }),
            ],
        };
        let expected = "# note\na:\n  b:\n    - \"x: y\"\n    - 1\n    - Pod\n    - \"No\"\n    - \"1\"\n  c: true\n---\nlist:\n  - n: \"\\\"\\n\"\n    o:\n      \
                        - p:\n          q: 2\n";
        assert_eq!(manifest.yaml(), expected);
        assert_eq!(manifest.json()["items"][0]["a"]["c"], true);
    }

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
