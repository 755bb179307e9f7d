/**
 * A page's own word for its content-security policy: scripts and styles without it do not run. It follows from the
 * data, so that the same data give the same page; two FNV-1a hashes of the text, forwards and backwards.
 */
export function nonceOf(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(text.length - 1 - i), 0x01000193);
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36);
}
