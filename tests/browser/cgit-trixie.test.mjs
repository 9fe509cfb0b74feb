import { cgit } from './cgit.mjs';

cgit('cgit-trixie');
