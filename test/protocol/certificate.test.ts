import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { certificateHash } from "../../src/protocol/index.ts";

/** Self-signed certificates made with OpenSSL, and what `openssl x509 -fingerprint -<hash>` says of them. */
const certificates = [
  {
    name: "RSA with SHA-256",
    der: "MIICADCCAWmgAwIBAgIUAPyx4J/XGm6+Ea3McIFzninnhK8wDQYJKoZIhvcNAQELBQAwETEPMA0GA1UEAwwGcnNhMjU2MCAXDTI2MTEyMzAxMzkxMFoYDzIxMjYxMDMwMDEzOTEwWjARMQ8wDQYDVQQDDAZyc2EyNTYwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAPUV3cAPvzCjnEKsoNTd++cXwZp1Rw0wyyJUWJeIGuOiNIxFp9aIIBxO+qdnrDiNMwkwpeatUniY/xTORdli6ajF+ivCW6nO92sU0IpnKCQeNxud1wbXdgmkQNaHjTBewJN4Xu1ZCY/BE2XPzaVTVfOBqV092iVa8iptCTkKWqGnAgMBAAGjUzBRMB0GA1UdDgQWBBQdU9QuEWkAFi3pmEtTQbX/dLJ23TAfBgNVHSMEGDAWgBQdU9QuEWkAFi3pmEtTQbX/dLJ23TAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBANuqVRsza/4JPr1MwaUHYC513vC4IAE5U/KniDiYf9LNeC11nS9GPkdL/9ZBa6vQBfVxKOsmreIk1R0IKR6RL9wH+GjBzcyhY8NNh8Qt5VAo0mQo8jwvPaegbvMK48mGN4JL3YsSs4e9HAQ107xwkwgdXXYNOBqOH+gWuG+q5/Hi",
    hash: "75c105d0853517ac079b52e41d40555cbecfacccf3ee65e28e60484f59809098",
  },
  {
    name: "ECDSA with SHA-384",
    der: "MIIBdjCCAR2gAwIBAgIUIfB7if08km2pkP8NlKQTzY3tTAIwCgYIKoZIzj0EAwMwEDEOMAwGA1UEAwwFZWMzODQwIBcNMjYxMTIzMDEzOTEwWhgPMjEyNjEwMzAwMTM5MTBaMBAxDjAMBgNVBAMMBWVjMzg0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAzm5LmUKwRByJn2hQOwzkJA2FiF4/095CgqJCMX4jHDHmJ+JExQsXYENcvht2aG0OBPOEm+kRIIHvkGDfpVxDaNTMFEwHQYDVR0OBBYEFCjR4VnSpexF9i8yORdFVHkMtSYUMB8GA1UdIwQYMBaAFCjR4VnSpexF9i8yORdFVHkMtSYUMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwMDRwAwRAIgaFNQoLZUGIULYCMSTf1sr+gxIRlSf65gacJFgRNWbRkCIGEcNpnNO6s11kkzFXo6Q/Z6OU1GWY40tO3qmLOHBS9o",
    hash: "83598252e8887507cb594e7a6e05a48774db33611f03f28337f0cb5b0bcbf39f6edea5cf3f943a5c64e2bcca96505c13",
  },
  {
    name: "ECDSA with SHA-1, for which SHA-256 stands",
    der: "MIIBdDCCARqgAwIBAgIUbf999wZwr0+w+jda1vH/2Ap4y9kwCQYHKoZIzj0EATAPMQ0wCwYDVQQDDARzaGExMCAXDTI2MTEyMzAxMzkxMFoYDzIxMjYxMDMwMDEzOTEwWjAPMQ0wCwYDVQQDDARzaGExMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEp/yxyyK/NSxz6HEqBl6icRJZUtECYGw3LOx17f5T99RDw3y/Nx6l9GPFTYqrrjBWnccakuhvGWq560YpPwWZmKNTMFEwHQYDVR0OBBYEFAd4QyZvu8EzP2DTkxgjNJHfctFZMB8GA1UdIwQYMBaAFAd4QyZvu8EzP2DTkxgjNJHfctFZMA8GA1UdEwEB/wQFMAMBAf8wCQYHKoZIzj0EAQNJADBGAiEAtWkyx80jVacM890DVAV200obztSC0B/V4rSSriFwQcACIQDRLiVI5ue+gzh7rDe8sRpK609llQT3m3ijcgiNUeZ07g==",
    hash: "aeddac390f584d54e1484abc8913f62418c835a9de48250fe2eed6a48b7eac7e",
  },
  {
    name: "RSASSA-PSS with SHA-512",
    der: "MIICYjCCAZegAwIBAgIUQtE/IkerIJnzAO9rCZUr3F583fUwQQYJKoZIhvcNAQEKMDSgDzANBglghkgBZQMEAgMFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgMFAKIDAgE+MA4xDDAKBgNVBAMMA3BzczAgFw0yNjExMjMwMTM5MTBaGA8yMTI2MTAzMDAxMzkxMFowDjEMMAoGA1UEAwwDcHNzMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC8lxrjzNVa3+ezXG0Qg0ts3K3+vrQoSlaW+l5G7UfRUU+NNOpKyOfhitnXd/zQsHxrEGRIUjJ6KpdP5WBsbBN9FsapFjuLz/nFSFSbN1hqhlb3sYsJqzv/vhHuNj+jzrs2GfN0EssydWsRBZowcQuKgeIrGNvR+Tvdqux4WzC94QIDAQABo1MwUTAdBgNVHQ4EFgQUD5IYluhRnyZBXaammJHF8F8u/t8wHwYDVR0jBBgwFoAUD5IYluhRnyZBXaammJHF8F8u/t8wDwYDVR0TAQH/BAUwAwEB/zBBBgkqhkiG9w0BAQowNKAPMA0GCWCGSAFlAwQCAwUAoRwwGgYJKoZIhvcNAQEIMA0GCWCGSAFlAwQCAwUAogMCAT4DgYEAVbN9aaT9AiugzlRAiGkcy4H21qKlR+85TzYtEAmpyYzYbitZf29+w5xRUrpp4vTY6hA31KFru6xbIiNjwnwEQLiWsDcQAgJw4r+GTmS3kOMeCyegf9+y/6LkalwFUAxRu3t9ouAaHuCoOEGIlIw/587xl1GqWxij+PGSrNYtLB8=",
    hash: "547396fe3e344ab969fa60d3ea956230cafd6c169fcb02ed1723624cf598400fde51afcd1a930140353bcab11db8cf52ba2c79289be3a4413888834e6e424cc8",
  },
  {
    name: "RSASSA-PSS with its default, SHA-1",
    der: "MIICBDCCAWigAwIBAgIUByu+bD6j5+qAYNgCXiI8+Y6e7oYwEgYJKoZIhvcNAQEKMAWiAwIBajAOMQwwCgYDVQQDDANwc3MwIBcNMjYxMTIzMDEzOTEwWhgPMjEyNjEwMzAwMTM5MTBaMA4xDDAKBgNVBAMMA3BzczCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAuLmmP/LcEd8Ogo90Ov4gtF+J8UfTB+tZ6WjPVKndImWMRmwc3W7imL+d9ohkeqFspcAsmx6kMjv7BCw2RTzX/ArC8MUBszOLasUYA2hmVvIirTVK/aXmyLrKaX15hwuR3mIA9cv0w1yqyNMoNFb5f4ccQTBeiAomm3NfdVayjRkCAwEAAaNTMFEwHQYDVR0OBBYEFEWVTkRXbxs+MGh5xfFmM/MDTuvHMB8GA1UdIwQYMBaAFEWVTkRXbxs+MGh5xfFmM/MDTuvHMA8GA1UdEwEB/wQFMAMBAf8wEgYJKoZIhvcNAQEKMAWiAwIBagOBgQCkaz/CZXU/7ssy/nK6rI+RLfifWBMBvF8pfaiaa8EsZSzi50l+WMBVVRta4w3AsRfh151nPtrLvEY79TuzkibT7DgVHxSb/F50lX2VBXo4sNCdkZCXdt0bXRgZxQnzNgTXhvthGJ4DdO8WHOXf2vqLFajUhCviC3XNH/sRJAv7zA==",
    hash: "0bc0d552bd04d6077281beee092ffc71f6e777c4504e5d332be2eab7edbdc9d9",
  },
  {
    name: "Ed25519, which has none",
    der: "MIIBMDCB46ADAgECAhQEXIvr7xwX/MO4p8+KU/yuFMQzODAFBgMrZXAwDTELMAkGA1UEAwwCZWQwIBcNMjYxMTIzMDEzOTEwWhgPMjEyNjEwMzAwMTM5MTBaMA0xCzAJBgNVBAMMAmVkMCowBQYDK2VwAyEAjRTze+SkbF9NX1bobIwcfklW1U1CYSDLt6mjSQq1y3yjUzBRMB0GA1UdDgQWBBQ/uLMPCAkL/RtWBV4lu6WKYdkpWTAfBgNVHSMEGDAWgBQ/uLMPCAkL/RtWBV4lu6WKYdkpWTAPBgNVHRMBAf8EBTADAQH/MAUGAytlcANBAH0pXel70MqW2IF8q719zdafJZBpof6sBPUmLs4IvON6FDULnjRMASbFvjfky1FUV/XQm1LY2/rZtK3UlQtl1wc=",
    hash: null,
  },
];

test.each(certificates)("$name", ({ der, hash }) => {
  expect(certificateHash(Buffer.from(der, "base64"))?.toString("hex") ?? null).toBe(hash);
});

/** The least a certificate may be: an empty tbsCertificate, an algorithm, an empty signature. */
function certificate(oid: string, parameters = "0500"): Buffer {
  const algorithm = tlv("30", tlv("06", oid) + parameters);
  return Buffer.from(tlv("30", tlv("30", "") + algorithm + tlv("03", "00")), "hex");
}

function tlv(tag: string, contents: string): string {
  return tag + (contents.length / 2).toString(16).padStart(2, "0") + contents;
}

describe("hash by signature algorithm", () => {
  test.each([
    ["md5WithRSAEncryption", "2a864886f70d010104", "sha256"],
    ["sha1WithRSAEncryption", "2a864886f70d010105", "sha256"],
    ["sha256WithRSAEncryption", "2a864886f70d01010b", "sha256"],
    ["sha384WithRSAEncryption", "2a864886f70d01010c", "sha384"],
    ["sha512WithRSAEncryption", "2a864886f70d01010d", "sha512"],
    ["sha224WithRSAEncryption", "2a864886f70d01010e", "sha224"],
    ["ecdsa-with-SHA1", "2a8648ce3d0401", "sha256"],
    ["ecdsa-with-SHA224", "2a8648ce3d040301", "sha224"],
    ["ecdsa-with-SHA256", "2a8648ce3d040302", "sha256"],
    ["ecdsa-with-SHA512", "2a8648ce3d040304", "sha512"],
    ["dsa-with-sha1", "2a8648ce380403", "sha256"],
    ["dsa-with-sha256", "608648016503040302", "sha256"],
  ])("%s", (_, oid, hash) => {
    const der = certificate(oid);
    expect(certificateHash(der)).toEqual(createHash(hash).update(der).digest());
  });

  test.each([
    ["Ed25519", "2b6570"],
    ["Ed448", "2b6571"],
    ["md2WithRSAEncryption", "2a864886f70d010102"],
    ["an unknown one", "2a0304"],
    ["an identifier cut short", "2a8648ce3d0483"],
    ["an empty identifier", ""],
  ])("none for %s", (_, oid) => {
    expect(certificateHash(certificate(oid))).toBeNull();
  });

  test("none for RSASSA-PSS without parameters or with an unknown hash", () => {
    const pss = "2a864886f70d01010a";
    expect(certificateHash(certificate(pss, ""))).toBeNull();
    expect(certificateHash(certificate(pss, tlv("30", tlv("a0", tlv("30", tlv("06", "2a03"))))))).toBeNull();
    expect(certificateHash(certificate(pss, "3000"))).not.toBeNull();
  });
});

test("certificates that cannot be read have none, and nothing is thrown", () => {
  const real = Buffer.from(certificates[0]?.der ?? "", "base64");
  expect(certificateHash(real.subarray(0, -1))).toBeNull();
  expect(certificateHash(Buffer.concat([real, Buffer.from([0])]))).toBeNull();
  expect(certificateHash(Buffer.alloc(0))).toBeNull();
  fc.assert(
    fc.property(fc.nat({ max: 700 }), fc.nat({ max: 255 }), (at, byte) => {
      const changed = Buffer.from(real);
      if (at < changed.length) changed[at] = byte;
      certificateHash(changed);
      certificateHash(changed.subarray(0, at));
    }),
    { numRuns: 500 },
  );
});
