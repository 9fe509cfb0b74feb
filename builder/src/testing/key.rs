//! Makes signing keys and clear-signed texts; the same words give the same bytes.

use pgp::{
    composed::{
        ArmorOptions, CleartextSignedMessage, DetachedSignature, KeyType, SignedKeyDetails, SignedPublicKey,
        SignedPublicSubKey,
    },
    crypto::hash::HashAlgorithm,
    packet::{
        KeyFlags, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, SignatureConfig,
        SignatureType, Subpacket, SubpacketData, UserId,
    },
    types::{
        Duration, KeyDetails, KeyVersion, Password, SecretParams, SignedUser, SigningKey, Tag, Timestamp,
    },
};
use rand::{SeedableRng, rngs::StdRng};

/// When made keys are made: the beginning of 2020.
pub const KEY_TIME_S: i64 = 1_577_836_800;

/// An OpenPGP key (Ed25519 unless it says so) to sign made archives with.
#[derive(Clone, Debug)]
pub struct Key {
    seed: u64,
    kind: KeyType,
    life_s: u32,
    hash: HashAlgorithm,
    by_subkey: bool,
    subkey_life_s: u32,
    subkey_revoked: bool,
    back_signed: bool,
    revoked: bool,
    may_sign: bool,
}

impl Key {
    /// Begins a key: another seed, another key. It lives for ever.
    pub fn new(seed: u64) -> Self {
        Key {
            seed,
            kind: KeyType::Ed25519Legacy,
            life_s: 0,
            hash: HashAlgorithm::Sha512,
            by_subkey: false,
            subkey_life_s: 0,
            subkey_revoked: false,
            back_signed: true,
            revoked: false,
            may_sign: true,
        }
    }

    /// Makes an RSA key of so many bits, which takes a while.
    pub fn rsa(mut self, bits: u32) -> Self {
        self.kind = KeyType::Rsa(bits);
        self
    }

    /// Lets the key expire so long after [`KEY_TIME_S`].
    pub fn lives_s(mut self, life_s: u32) -> Self {
        self.life_s = life_s;
        self
    }

    /// Revokes the key.
    pub fn revoked(mut self) -> Self {
        self.revoked = true;
        self
    }

    /// Takes the right to sign from the primary key.
    pub fn certifying_only(mut self) -> Self {
        self.may_sign = false;
        self
    }

    /// Makes a subkey that signs in place of the primary key, as most of Debian's archive keys do.
    pub fn with_subkey(mut self) -> Self {
        (self.by_subkey, self.may_sign) = (true, false);
        self
    }

    /// Lets the subkey expire so long after [`KEY_TIME_S`].
    pub fn subkey_lives_s(mut self, life_s: u32) -> Self {
        self.subkey_life_s = life_s;
        self
    }

    /// Revokes the subkey.
    pub fn subkey_revoked(mut self) -> Self {
        self.subkey_revoked = true;
        self
    }

    /// Leaves out the subkey's own signature by which it admits to belong to the primary key.
    pub fn without_back_signature(mut self) -> Self {
        self.back_signed = false;
        self
    }

    /// Signs texts with a hash of the past; only an RSA key will.
    pub fn signing_with_sha1(mut self) -> Self {
        self.hash = HashAlgorithm::Sha1;
        self
    }

    /// Returns the fingerprint of the primary key, in upper-case hex.
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.primary().fingerprint())
    }

    /// Returns the public key, armored.
    pub fn armored(&self) -> String {
        self.certificate().to_armored_string(ArmorOptions::default()).expect("a whole key")
    }

    /// Returns a text clear-signed at a time, as InRelease files are.
    pub fn sign(&self, text: &str, time_s: i64) -> String {
        let signed = if self.by_subkey {
            self.sign_by(&self.subkey(), text, time_s)
        } else {
            self.sign_by(&self.primary(), text, time_s)
        };
        signed.to_armored_string(ArmorOptions::default()).expect("a whole message")
    }

    /// Returns a signature on a text, made at a time, as Release.gpg files are.
    pub fn sign_apart(&self, text: &str, time_s: i64) -> String {
        let key = self.primary();
        let mut config = config(&key, SignatureType::Binary, time_s);
        config.hash_alg = self.hash;
        let signature = config.sign(&key, &Password::empty(), text.as_bytes()).expect("signs");
        DetachedSignature::new(signature).to_armored_string(ArmorOptions::default()).expect("a signature")
    }

    fn sign_by(&self, key: &impl SigningKey, text: &str, time_s: i64) -> CleartextSignedMessage {
        let mut config = config(key, SignatureType::Text, time_s);
        config.hash_alg = self.hash;
        CleartextSignedMessage::new(text, config, key, &Password::empty()).expect("signs")
    }

    fn inner(&self, salt: u64) -> (PubKeyInner, SecretParams) {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_mul(2).wrapping_add(salt));
        let (public, secret) = self.kind.generate(&mut random).expect("generates");
        let time = timestamp(KEY_TIME_S);
        let algorithm = self.kind.to_alg();
        (PubKeyInner::new(KeyVersion::V4, algorithm, time, None, public).expect("a good key"), secret)
    }

    fn primary(&self) -> SecretKey {
        let (public, secret) = self.inner(0);
        SecretKey::new(PublicKey::from_inner(public).expect("a good key"), secret).expect("a good key")
    }

    fn subkey(&self) -> SecretSubkey {
        let (public, secret) = self.inner(1);
        SecretSubkey::new(PublicSubkey::from_inner(public).expect("a good key"), secret).expect("a good key")
    }

    fn certificate(&self) -> SignedPublicKey {
        let (primary, no_password) = (self.primary(), Password::empty());
        let public = primary.public_key();
        let id = format!("Made archive {} <nobody@example.org>", self.seed);
        let id = UserId::from_str(Default::default(), id).expect("a short name");
        let mut itself = config(&primary, SignatureType::CertPositive, KEY_TIME_S);
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(self.may_sign);
        push(&mut itself, SubpacketData::KeyFlags(flags));
        push_life(&mut itself, self.life_s);
        let signature =
            itself.sign_certification(&primary, public, &no_password, Tag::UserId, &id).expect("signs");
        let mut revocations = Vec::new();
        if self.revoked {
            let config = config(&primary, SignatureType::KeyRevocation, KEY_TIME_S + 1);
            revocations.push(config.sign_key(&primary, &no_password, public).expect("signs"));
        }
        let users = vec![SignedUser::new(id, vec![signature])];
        let details = SignedKeyDetails::new(revocations, Vec::new(), users, Vec::new());
        let subkeys = if self.by_subkey { vec![self.bound_subkey(&primary)] } else { Vec::new() };
        SignedPublicKey::new(public.clone(), details, subkeys)
    }

    fn bound_subkey(&self, primary: &SecretKey) -> SignedPublicSubKey {
        let (subkey, no_password) = (self.subkey(), Password::empty());
        let public = subkey.public_key();
        let mut binding = config(primary, SignatureType::SubkeyBinding, KEY_TIME_S);
        let mut flags = KeyFlags::default();
        flags.set_sign(true);
        push(&mut binding, SubpacketData::KeyFlags(flags));
        push_life(&mut binding, self.subkey_life_s);
        if self.back_signed {
            let back = config(&subkey, SignatureType::KeyBinding, KEY_TIME_S)
                .sign_primary_key_binding(&subkey, public, &no_password, primary.public_key())
                .expect("signs");
            push(&mut binding, SubpacketData::EmbeddedSignature(Box::new(back)));
        }
        let sign = |config: SignatureConfig| {
            config.sign_subkey_binding(primary, primary.public_key(), &no_password, public).expect("signs")
        };
        let mut signatures = vec![sign(binding)];
        if self.subkey_revoked {
            signatures.push(sign(config(primary, SignatureType::SubkeyRevocation, KEY_TIME_S + 1)));
        }
        SignedPublicSubKey::new(public.clone(), signatures)
    }
}

fn timestamp(time_s: i64) -> Timestamp {
    Timestamp::from_secs(u32::try_from(time_s).expect("a time after 1970"))
}

fn push(config: &mut SignatureConfig, data: SubpacketData) {
    config.hashed_subpackets.push(Subpacket::regular(data).expect("a short value"));
}

fn push_life(config: &mut SignatureConfig, life_s: u32) {
    if life_s > 0 {
        push(config, SubpacketData::KeyExpirationTime(Duration::from_secs(life_s)));
    }
}

/// Begins a signature by a key at a time.
fn config(key: &impl SigningKey, kind: SignatureType, time_s: i64) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha512);
    push(&mut config, SubpacketData::SignatureCreationTime(timestamp(time_s)));
    push(&mut config, SubpacketData::IssuerFingerprint(key.fingerprint()));
    let key_id = SubpacketData::IssuerKeyId(key.legacy_key_id());
    config.unhashed_subpackets.push(Subpacket::regular(key_id).expect("a short value"));
    config
}
