declare module "lz4js" {
  export function decompressFrame(bytes: Uint8Array, room: Uint8Array): number;
}
