<?php
// The app turns all reports on, and its libraries are of a time before PHP 8: each page would log dozens of lines.
set_error_handler(fn() => true, E_DEPRECATED | E_NOTICE);
