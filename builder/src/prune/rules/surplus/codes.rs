//! Codes of languages, and what stands behind them in the names of locales.

use std::collections::HashSet;

/// ISO 639-1, with those that were withdrawn and are still used.
const TWO: &str = "\
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee \
    el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik in io \
    is it iu iw ja ji jv jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk \
    ml mn mo mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc \
    sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve \
    vi vo wa wo xh yi yo za zh zu";

/// Those of ISO 639-2 and 639-3 that translations are made in, but for those that are words of English
/// ("min", "new").
const THREE: &str = "\
    aar abk ace ach ada ady afr agq ain aka alb ale aln alt amh ang anp ara arc arg arm arn arp ary arz asa ase \
    asm ast ava ave avk awa aym azb aze bak bam baq bbc bcc bcl bej bel bem ben bez bho bih bik bis bjn bod bos \
    bpy bqi brh bre brx bua bug bul bur bxr byn cbk cdo ceb ces cgg cha che chi chk chm cho chr chu chv chy ckb \
    cnr cos cps cre crh csb cym cze dag dav deu diq div dje dsb dtp dty dua dut dyo dyu dzo ebu efi egl ell eml \
    eng enm epo est eus ewe ewo ext fao fas fij fil fit fon fra fre frc frp frr fry ful fur gaa gag gan gba gcr \
    geo ger gez gil gla gle glg glk glv gom gor grc gre grn gsw guj guz gwi hak hat hau haw heb hif hil hin hmn \
    hmo hrv hrx hsb hsn hun hye hyw iba ibo ice ido iii iku ilo ina ind inh ipk isl ita jam jav jbo jgo jmc jpn \
    jut kaa kab kac kal kam kan kas kat kau kaz kbd kbp kcg kde kea kha khm khq khw kik kin kir kiu kjp kln kmb \
    kmr kok kom kon kor krc krj krl ksb ksf ksh ktu kua kum kur kut lag lah lao lat lav lez lfn lij lim lin lit \
    liv lki lkt lld lmo loz lrc ltg ltz luo lus luy lzh lzz mac mah mai mak mal mao mas mcn mdf mer mfe mgh mgo \
    mhr mkd mlg mlt mnc mni mnw moh mos mri mrj msa mua mwl mya myv mzn nah nan nap naq nau nav nbl nde ndo nds \
    nep niu nld nmg nnh nno nob nog nor nov nqo nrm nso nus nya nyn nys oci oji olo ori orm oss pag pap pau pcd \
    pcm pdc pdt per pfl pli pms pnb pnt pol por prg pus que rgn rif rmc rmy rof roh rom ron rue rum rup rus ruq \
    rwk rwr sag sah san saq sas sbp scn sco sdc sdh seh sei ses sgs shi shn skr sli slk slo slv sly sma sme smj \
    smn smo sms sna snd som sot spa sqi srd srn srp ssw ssy stq sun sus swa swe szl tah tam tat tay tcy tel teo \
    tet tgk tgl tha tib tig tir tkl tly tok tpi tru tsn tso tuk tum tur twi twq tyv tzm udm uig ukr umb urd uzb \
    vai ven vec vep vie vls vmf vmw vol vot vro vun wae wel wen wln wls wol wuu xal xho xmf xog yav yid yor yrl \
    yue zea zgh zha zho zul zza";

/// Scripts, spellings and other tags that are neither regions nor languages.
const TAGS: &str = "\
    abkhazian adlm ancient arab armn aran beng cans chakma cher classical cyrillic cyrl deva ethi euro formal \
    geor grek gujr guru hans hant hebr informal iqtelif ijekavian ijekavianlatin ijek jpan khmr knda kore laoo \
    latin latn lima mlym mong mtei mymr nkoo olck orya polyton rohg sinh strict sund taml tarask taraskievica \
    telu tfng thaa thai tibt tlh truespel ude uni unicode utf8 valencia vaii yiii x";

/// A code of a language in a name, with region and what else belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it begins and ends in the name.
    pub start: usize,
    pub end: usize,
    /// The language alone, in lower case.
    pub language: String,
    /// All of it, in lower case and with `_` between its parts.
    pub locale: String,
}

impl Found {
    pub fn has_region(&self) -> bool {
        self.locale != self.language
    }

    pub fn is_english(&self) -> bool {
        matches!(&self.language[..], "en" | "eng")
    }
}

/// The codes that are known.
pub(super) struct Codes {
    languages: HashSet<&'static str>,
    tags: HashSet<&'static str>,
}

impl Codes {
    pub fn new() -> Self {
        let languages = TWO.split_ascii_whitespace().chain(THREE.split_ascii_whitespace()).collect();
        Codes { languages, tags: TAGS.split_ascii_whitespace().collect() }
    }

    /// Returns the codes that stand as words of their own in a name: `de.json`, `MessagesDe_at.php`,
    /// `lang-ptBR.js`.
    pub fn in_name(&self, name: &[u8]) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        for start in (0..name.len()).filter(|start| begins(name, *start)) {
            // A region is often a code of a language as well.
            if all.last().is_none_or(|last| last.end <= start) {
                all.extend(self.at(name, start));
            }
        }
        all
    }

    fn at(&self, name: &[u8], start: usize) -> Option<Found> {
        let mut end = word_end(name, start);
        let language = lower(&name[start..end]);
        if !self.is_language(&language) {
            return None;
        }
        let mut locale = language.clone();
        loop {
            let separated = name.get(end).is_some_and(|byte| b"-_@".contains(byte));
            // `ptBR`, but not the next word of `deMain`.
            let next = end + usize::from(separated);
            let next_end = if separated { tag_end(name, next) } else { word_end(name, next) };
            let tag = &name[next..next_end];
            let is_joined = !separated && tag.len() == 2 && tag.iter().all(u8::is_ascii_uppercase);
            if !(separated && self.is_tag(&lower(tag)) || is_joined) || !ends(name, next_end) {
                break;
            }
            locale += "_";
            locale += &lower(tag);
            end = next_end;
        }
        ends(name, end).then_some(Found { start, end, language, locale })
    }

    /// Codes from `qaa` to `qtz` are for private use; translators' notes have one.
    fn is_language(&self, word: &str) -> bool {
        let is_private = matches!(word.as_bytes(), [b'q', second, third] if second.is_ascii_lowercase() && *second <= b't' && third.is_ascii_lowercase());
        self.languages.contains(word) || is_private
    }

    fn is_tag(&self, word: &str) -> bool {
        let is_region = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_lowercase())
            || word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        is_region || self.tags.contains(word) || self.languages.contains(word)
    }
}

fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

fn is_between_words(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric()
}

fn is_new_word(before: u8, byte: u8) -> bool {
    !before.is_ascii_uppercase() && byte.is_ascii_uppercase()
}

fn begins(name: &[u8], at: usize) -> bool {
    at == 0 || is_between_words(name[at - 1]) || is_new_word(name[at - 1], name[at])
}

fn ends(name: &[u8], at: usize) -> bool {
    at == name.len() || is_between_words(name[at]) || is_new_word(name[at - 1], name[at])
}

fn word_end(name: &[u8], start: usize) -> usize {
    let rest = start + 1..name.len();
    let mut stops =
        rest.filter(|at| !name[*at].is_ascii_alphabetic() || is_new_word(name[at - 1], name[*at]));
    stops.next().unwrap_or(name.len())
}

fn tag_end(name: &[u8], start: usize) -> usize {
    let length = name[start..].iter().position(|byte| is_between_words(*byte));
    length.map_or(name.len(), |length| start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_names() {
        let codes = Codes::new();
        let rows: [(&str, &[(&str, &str)]); 16] = [
            ("de", &[("", "de")]),
            ("de.json", &[("", "de")]),
            ("pt_BR", &[("", "pt_br")]),
            ("ptBR.js", &[("", "pt_br")]),
            ("zh-hans.json", &[("", "zh_hans")]),
            ("es-419.po", &[("", "es_419")]),
            ("ca@valencia.json", &[("", "ca_valencia")]),
            ("MessagesDe.php", &[("Messages", "de")]),
            ("MessagesDe_at.php", &[("Messages", "de_at")]),
            ("jquery-datepicker-fr.js", &[("jquery-datepicker-", "fr")]),
            ("messages.qqq.json", &[("messages.", "qqq")]),
            ("is-array.js", &[("", "is")]),
            ("map.json", &[]),
            ("index.php", &[]),
            ("README", &[]),
            ("x", &[]),
        ];
        for (name, expected) in rows {
            let found = codes.in_name(name.as_bytes());
            let found: Vec<(&str, &str)> = found.iter().map(|f| (&name[..f.start], &f.locale[..])).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
