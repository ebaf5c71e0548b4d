// A certificate authority and the certificates of a test, made by `openssl` in a folder:
// ca.pem, and NAME.pem + NAME.key for: good, wrong_name, expired, self_signed.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";

const NAMES = "DNS:localhost,DNS:model.test,IP:127.0.0.1,IP:::1";

const CONFIG = `
[ca]
default_ca = test
[test]
dir = .
database = index.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
`;

function day(offset) {
  const text = new Date(Date.now() + offset * 86400e3).toISOString();
  return text.replace(/[-:T]/g, "").slice(2, 14) + "Z";
}

/** Makes them unless they are there; the folder appears complete or not at all. */
export function makeCertificates(dir) {
  if (existsSync(`${dir}/ca.pem`)) return dir;
  const work = `${dir}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  const openssl = (...args) => execFileSync("openssl", args, { cwd: work, stdio: "pipe" });
  const request = (name, names, ...more) =>
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-keyout", `${name}.key`, "-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`, ...more);
  const sign = (name, from, to) =>
    openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-in", `${name}.csr`, "-out", `${name}.pem`,
      "-startdate", day(from), "-enddate", day(to));

  writeFileSync(`${work}/ca.conf`, CONFIG);
  writeFileSync(`${work}/index.txt`, "");
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
    "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Moonhook test authority");
  request("good", NAMES, "-out", "good.csr");
  sign("good", -1, 30);
  request("wrong_name", "DNS:elsewhere.test", "-out", "wrong_name.csr");
  sign("wrong_name", -1, 30);
  request("expired", NAMES, "-out", "expired.csr");
  sign("expired", -9, -2);
  request("self_signed", NAMES, "-x509", "-days", "30", "-out", "self_signed.pem");
  try {
    renameSync(work, dir);
  } catch (error) {
    if (!existsSync(`${dir}/ca.pem`)) throw error; // somebody else was faster
  }
  return dir;
}
