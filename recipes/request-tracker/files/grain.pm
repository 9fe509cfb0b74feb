# Perl, read after Debian's own files.
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '/var/lib/request-tracker5/rt.db');
Set($rtname, 'grain');
Set($Organization, 'localhost');
Set($WebPath, '');
Set($WebDomain, 'localhost');
Set($WebPort, 8000);
Set($WebBaseURL, 'http://localhost:8000');
Set($CanonicalizeRedirectURLs, 0);
# A grain reaches no mail server: what would be sent is kept.
Set($MailCommand, 'sendmailpipe');
Set($SendmailPath, '/app/sendmail');
# Letters in HTML become text by RT itself.
Set($HTMLFormatter, 'core');
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');
# Each language takes 1 MB of memory and of the package.
Set(@LexiconLanguages, 'en');
# Charts would draw in a dozen libraries for pictures.
Set($DisableGD, 1);
Set($DisableGraphViz, 1);
Set(%GnuPG, Enable => 0);
Set(%SMIME, Enable => 0);
1;
